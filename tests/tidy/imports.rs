//! Finds circles of imports among the modules of a crate, by reading its sources.
//!
//! Paths that begin with `crate`, `super` or `self`, and those of `use`, are resolved through `use`
//! declarations to the module that defines the item. Such an import counts for the two siblings
//! that contain the two modules: `crate::b::y::Item` in `a/x.rs` means that `a` imports `b`. So the
//! children of each module are checked separately; those of the root are the top-level folders. The
//! items that a parent defines itself count as one more child, [`PARENT`]: a parent that imports a
//! child must define nothing that this child imports. An item that the parent re-exports from
//! another child counts as an import of that sibling.
//!
//! Code for tests is ignored. An inline module counts as a part of its file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// The path of a module from the root of its crate, without `crate`; or a path as it is written.
type Name = Vec<String>;

/// The limit of `use` declarations followed for one path, so that cyclic names end.
const MAX_STEPS: usize = 16;

/// Stands for the items that a parent defines itself.
const PARENT: &str = "mod";

struct Module {
    file: PathBuf,
    /// The names that `use` imports into this module, and the paths as they are written.
    uses: Vec<(String, Name)>,
    /// Paths in other code that begin with `crate`, `super` or `self`.
    paths: Vec<Name>,
}

/// The modules of one crate.
pub(crate) struct Crate {
    modules: BTreeMap<Name, Module>,
}

/// Siblings that import one another.
pub(crate) struct Circle {
    /// The module whose children they are; empty for the root.
    pub(crate) parent: Name,
    /// A description: the circle, and a line for each of its imports.
    pub(crate) text: String,
}

/// For each child of a module the siblings that it imports, with an example.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

impl Crate {
    /// Reads the modules from the root on, as `mod` declares them. `read` returns the text of a
    /// file, or `None` if it does not exist.
    pub(crate) fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let text = read(root).unwrap_or_else(|| panic!("there is no {}", root.display()));
        let mut modules = BTreeMap::new();
        let mut waiting = vec![(Name::new(), root.to_path_buf(), text)];
        while let Some((name, file, text)) = waiting.pop() {
            let code = code_of(&text);
            for (child, path) in declared(&code) {
                let mut places = places(&file, &child, path.as_deref()).into_iter();
                let found = places.find_map(|place| read(&place).map(|text| (place, text)));
                let (place, text) =
                    found.unwrap_or_else(|| panic!("{}: where is {child}?", file.display()));
                waiting.push((join(&name, &child), place, text));
            }
            let (uses, paths) = parse(&tokens(&code));
            modules.insert(name, Module { file, uses, paths });
        }
        Self { modules }
    }

    /// The number of modules.
    pub(crate) fn len(&self) -> usize {
        self.modules.len()
    }

    /// The circles among siblings. Of circles that share modules, a shortest one.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let mut by_parent: BTreeMap<Name, Imports> = BTreeMap::new();
        for (name, module) in &self.modules {
            for path in module.paths.iter().chain(module.uses.iter().map(|(_, path)| path)) {
                let Some(target) = self.resolve(name, path, MAX_STEPS) else { continue };
                let same = name.iter().zip(&target).take_while(|(a, b)| a == b).count();
                // A path that ends with the module is a visibility, such as `pub(in crate::io)`.
                let is_item = target.last() != path.last();
                if same < name.len() && (same < target.len() || is_item)
                    || same == name.len() && same < target.len()
                {
                    let [from, to] = [name, &target].map(|it| part(it, same));
                    let text = format!("{} names {}", module.file.display(), path.join("::"));
                    let imports = by_parent.entry(name[..same].to_vec()).or_default();
                    imports.entry(from).or_default().entry(to).or_insert(text);
                }
            }
        }
        let circles = by_parent.into_iter().flat_map(|(parent, imports)| {
            let texts = circles(&imports).into_iter();
            texts.map(move |text| Circle { parent: parent.clone(), text }).collect::<Vec<_>>()
        });
        circles.collect()
    }

    /// The module that defines the item of a path in `module`; `None` if that is in another crate.
    fn resolve(&self, module: &[String], path: &[String], steps: usize) -> Option<Name> {
        let mut now = module.to_vec();
        let mut rest = path.iter();
        match path.first()?.as_str() {
            "crate" => now.clear(),
            "self" => {}
            "super" => now.truncate(now.len().checked_sub(1)?),
            first if self.modules.contains_key(&join(&now, first)) => now.push(first.to_owned()),
            first => now = self.follow(&now, first, path, steps)?,
        }
        rest.next();
        for part in rest {
            let child = join(&now, part);
            if part == "super" {
                now.truncate(now.len().checked_sub(1)?);
            } else if self.modules.contains_key(&child) {
                now = child;
            } else if self.brings_in(&now, part).is_some() {
                now = self.follow(&now, part, path, steps)?;
            } else {
                // It is defined there, and the rest of the path is inside it.
                break;
            }
        }
        Some(now)
    }

    /// The path of the `use` that imports a name into a module.
    fn brings_in(&self, module: &[String], name: &str) -> Option<&Name> {
        let uses = &self.modules.get(module)?.uses;
        uses.iter().find(|(known, _)| known == name).map(|(_, path)| path)
    }

    /// Resolves a name that `use` imports into a module, unless `use` contains only that name.
    fn follow(&self, module: &[String], name: &str, path: &[String], left: usize) -> Option<Name> {
        let from = self.brings_in(module, name).filter(|from| *from != path)?;
        self.resolve(module, from, left.checked_sub(1)?)
    }
}

/// The child of a module at `depth` that contains `name`.
fn part(name: &[String], depth: usize) -> String {
    name.get(depth).cloned().unwrap_or_else(|| PARENT.to_owned())
}

fn join(name: &[String], child: &str) -> Name {
    name.iter().cloned().chain([child.to_owned()]).collect()
}

/// The possible files of a child.
fn places(file: &Path, child: &str, path: Option<&str>) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    if let Some(path) = path {
        return vec![folder.join(path)];
    }
    let stem = file.file_stem().unwrap_or_default();
    let own = ["lib", "main", "mod"].iter().any(|name| stem == *name);
    let folder = if own { folder.to_path_buf() } else { folder.join(stem) };
    vec![folder.join(format!("{child}.rs")), folder.join(child).join("mod.rs")]
}

/// The code without comments and without test items. A test item ends at a line with its own
/// indentation, as rustfmt formats it.
fn code_of(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut code = String::new();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        let body = line.trim_start();
        if !body.starts_with("#[cfg(test)]") && !body.starts_with("#[cfg(all(test") {
            code.push_str(line.split(" // ").next().unwrap_or_default());
            code.push('\n');
            continue;
        }
        let at = indent(line);
        let item = lines.by_ref().find(|line| !line.trim_start().starts_with('#'));
        if !item.is_none_or(|item| item.ends_with([';', ',', '}'])) {
            lines.by_ref().find(|line| indent(line) == at && line.trim_start().starts_with('}'));
        }
    }
    code
}

/// The children that are declared with `mod name;`, with the `path` attribute of those that have
/// one.
fn declared(code: &str) -> Vec<(String, Option<String>)> {
    let mut path = None;
    let mut found = Vec::new();
    for line in code.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path = rest.split('"').next().map(str::to_owned);
        } else if let Some(rest) = line.strip_suffix(';') {
            let words: Vec<&str> = rest.split_whitespace().collect();
            if let ["mod", name] | [_, "mod", name] = words[..] {
                found.push((name.to_owned(), path.take()));
            }
        }
    }
    found
}

/// The tokens: words, `::`, and all other characters one by one.
fn tokens(code: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            first => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

fn starts_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The names that `use` imports, and the other paths that begin with `crate`, `super` or `self`.
fn parse(tokens: &[&str]) -> (Vec<(String, Name)>, Vec<Name>) {
    let (mut uses, mut paths) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let begins = matches!(*token, "crate" | "super" | "self");
        if *token == "use" {
            at = tree(tokens, at + 1, &[], &mut uses);
        } else if begins && tokens.get(at + 1) == Some(&"::") {
            let mut path = vec![(*token).to_owned()];
            while let (Some(&"::"), Some(part)) = (tokens.get(at + 1), tokens.get(at + 2))
                && starts_word(part)
            {
                path.push((*part).to_owned());
                at += 2;
            }
            paths.push(path);
            at += 1;
        } else {
            at += 1;
        }
    }
    (uses, paths)
}

/// Parses one tree of a `use` from `at` on, with the path before it; returns the position after it.
fn tree(tokens: &[&str], mut at: usize, path: &[String], uses: &mut Vec<(String, Name)>) -> usize {
    let mut path = path.to_vec();
    while let Some(token) = tokens.get(at) {
        match *token {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    let next = tree(tokens, at, &path, uses);
                    at = next
                        + usize::from(tokens.get(next) == Some(&",")).max(usize::from(next == at));
                }
                return at + 1;
            }
            "as" => {
                uses.push((tokens.get(at + 1).copied().unwrap_or("_").to_owned(), path));
                return at + 2;
            }
            // A glob import is resolved to the module itself.
            "*" => {
                uses.push(("*".to_owned(), path));
                return at + 1;
            }
            "::" => at += 1,
            "self" if !path.is_empty() => at += 1,
            part if starts_word(part) => {
                path.push(part.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    if let Some(last) = path.last().cloned() {
        uses.push((last, path));
    }
    at
}

/// A shortest circle for each group of siblings that import one another.
fn circles(imports: &Imports) -> Vec<String> {
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for name in imports.keys() {
        let Some(circle) = way(imports, name, name).filter(|_| !done.contains(name)) else {
            continue;
        };
        let back = |other: &&String| {
            way(imports, name, other).is_some() && way(imports, other, name).is_some()
        };
        let group: Vec<&String> = imports.keys().filter(back).collect();
        let mut text = circle.join(" -> ");
        if group.len() >= circle.len() {
            let names: Vec<&str> = group.iter().map(|name| name.as_str()).collect();
            text += &format!(" (one of several among {})", names.join(", "));
        }
        done.extend(group);
        for pair in circle.windows(2) {
            let example = &imports[&pair[0]][&pair[1]];
            text += &format!("\n    {} -> {}: {example}", pair[0], pair[1]);
        }
        found.push(text);
    }
    found
}

/// A shortest path along imports, of at least one step, including both ends.
fn way(imports: &Imports, from: &str, to: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut waiting = VecDeque::from([vec![from.to_owned()]]);
    while let Some(way) = waiting.pop_front() {
        for next in imports.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let longer = join(&way, next);
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                waiting.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
#[path = "imports_tests.rs"]
mod tests;
