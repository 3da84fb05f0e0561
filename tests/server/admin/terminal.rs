//! `corecast top` in a terminal: no view moves another one up or runs over its edge.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::admin::page::Administrated;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::command;

const LIMIT: Duration = Duration::from_secs(30);

/// What a terminal does with what is written to it, as far as a view needs it.
struct Screen {
    lines: Vec<Vec<char>>,
    columns: usize,
    row: usize,
    column: usize,
    /// An order that is not complete.
    order: String,
    /// The lines of the view before this one.
    before: Vec<String>,
    /// How often a view has begun, all has moved up, and a text has run over the edge.
    views: usize,
    scrolled: usize,
    wrapped: usize,
}

impl Screen {
    fn new(rows: usize, columns: usize) -> Self {
        Self {
            lines: vec![vec![' '; columns]; rows],
            columns,
            row: 0,
            column: 0,
            order: String::new(),
            before: Vec::new(),
            views: 0,
            scrolled: 0,
            wrapped: 0,
        }
    }

    fn resize(&mut self, rows: usize, columns: usize) {
        *self = Self::new(rows, columns);
    }

    fn text(&self) -> Vec<String> {
        self.lines
            .iter()
            .map(|line| line.iter().collect::<String>().trim_end().to_owned())
            .collect()
    }

    fn down(&mut self) {
        if self.row + 1 < self.lines.len() {
            self.row += 1;
        } else {
            self.lines.remove(0);
            self.lines.push(vec![' '; self.columns]);
            self.scrolled += 1;
        }
    }

    fn write(&mut self, char: char) {
        if char == '\x1b' || !self.order.is_empty() {
            self.order.push(char);
            return self.obey();
        }
        match char {
            '\r' => self.column = 0,
            '\n' => self.down(),
            _ => {
                if self.column == self.columns {
                    self.column = 0;
                    self.wrapped += 1;
                    self.down();
                }
                self.lines[self.row][self.column] = char;
                self.column += 1;
            }
        }
    }

    fn obey(&mut self) {
        // Behind the last column it is the last one that is cleared.
        let from = self.column.min(self.columns - 1);
        match self.order.as_str() {
            "\x1b[H" => {
                (self.row, self.column) = (0, 0);
                self.views += 1;
                self.before = self.text();
                // The first one may have been on its way when the terminal got another size.
                if self.views == 2 {
                    (self.scrolled, self.wrapped) = (0, 0);
                }
            }
            "\x1b[K" => self.lines[self.row][from..].fill(' '),
            "\x1b[J" => {
                self.lines[self.row][from..].fill(' ');
                self.lines[self.row + 1..].iter_mut().for_each(|line| line.fill(' '));
            }
            order if order.len() < 3 => return,
            order => panic!("{order:?} is not known"),
        }
        self.order.clear();
    }
}

/// `corecast top` in a terminal of its own. It is ended with this.
struct Top {
    child: Child,
    terminal: OwnedFd,
    screen: Arc<Mutex<Screen>>,
}

impl Top {
    fn start(server: &Administrated, rows: u16, columns: u16) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let output = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(&terminal, size(rows, columns)).unwrap();
        let mut top = command(&["top", "--admin", &server.admin.to_string(), "--interval", "1"]);
        top.stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
        let child = top.spawn().unwrap();
        // The terminal ends with the last process that has it.
        drop(top);
        let screen = Arc::new(Mutex::new(Screen::new(rows.into(), columns.into())));
        let (mut reader, shown) = (File::from(terminal.try_clone().unwrap()), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // All is ASCII, since the names of the test are.
            while let Ok(1..) = reader.read(&mut bytes[..1]) {
                shown.lock().unwrap().write(char::from(bytes[0]));
            }
        });
        Self { child, terminal, screen }
    }

    fn resize(&self, rows: u16, columns: u16) {
        let mut screen = self.screen.lock().unwrap();
        tcsetwinsize(&self.terminal, size(rows, columns)).unwrap();
        screen.resize(rows.into(), columns.into());
    }

    /// The lines of the next view but two. All of them have had room.
    fn lines(&self) -> Vec<String> {
        const VIEWS: usize = 4;
        let screen = || self.screen.lock().unwrap();
        let text = || screen().text();
        assert!(wait_until(LIMIT, || screen().views >= VIEWS), "{:#?}", text());
        let screen = screen();
        assert_eq!((screen.scrolled, screen.wrapped), (0, 0), "{:#?}", screen.before);
        screen.before.clone()
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn has(lines: &[String], part: &str) -> bool {
    lines.iter().any(|line| line.contains(part))
}

#[test]
fn a_view_has_the_size_of_the_terminal() {
    let server = Administrated::start(&["--loops-per-core", "6"]);
    let subscriber = |number: usize| {
        let mut client = Client::connect(server.addr());
        client.open_at(&format!("/topics/topic-{number}?role=sub"), "");
        client
    };
    let _subscribers: Vec<Client> = (0..12).map(subscriber).collect();
    let top = Top::start(&server, 24, 80);
    let lines = top.lines();
    assert!(lines[0].starts_with("corecast ") && lines[23].is_empty(), "{lines:#?}");
    assert!(has(&lines, "SLOWEST CLIENT") && has(&lines, "topic-"), "{lines:#?}");
    // Six loops and twelve topics have eight lines.
    let shown = lines.iter().filter(|line| line.contains("  topic-")).count();
    assert!(has(&lines, &format!("... and {} more", 12 - shown)), "{lines:#?}");
    top.resize(10, 40);
    let lines = top.lines();
    assert!(lines[0].starts_with("corecast ") && lines[9].is_empty(), "{lines:#?}");
    assert!(lines[8].contains("more lines have no room"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.len() == 40), "some are cut: {lines:#?}");
    top.resize(50, 120);
    let lines = top.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("  topic-")).count(), 12, "{lines:#?}");
    assert!(!has(&lines, "more") && has(&lines, "   5 "), "{lines:#?}");
}
