# Turns the text of `corecast serve --help` into the options of a man page. Headings become
# sections of their own, flags tagged paragraphs. What comes before the first heading and after the
# last flag is left out: corecast.1.in says that.

function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    while (match(text, /`[^`]*`/)) {
        text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" \
            substr(text, RSTART + RLENGTH)
    }
    if (text ~ /^[.']/) text = "\\&" text
    return text
}

/^Options:$/ { skipped = 1; next }

/^[A-Z][A-Za-z ]*:$/ {
    skipped = 0
    begun = 1
    sub(/:$/, "")
    print ".SS " roff($0)
    next
}

!begun || skipped { next }

/^      --/ {
    sub(/^ +/, "")
    flag = $1
    value = $0
    sub(/^[^ ]* ?/, "", value)
    gsub(/[<>]/, "", value)
    print ".TP"
    print "\\fB" roff(flag) "\\fR" (value == "" ? "" : " \\fI" roff(value) "\\fR")
    next
}

/^ *$/ { next }

# What stands further in belongs to the flag.
/^          Possible values:$/ { print ".br"; print "One of:"; next }
/^          - / {
    sub(/^ *- /, "")
    name = $0
    sub(/:.*/, "", name)
    sub(/^[^:]*: /, "")
    print ".br"
    print "\\fB" roff(name) "\\fR: " roff($0)
    next
}
/^          \[default: .*\]$/ {
    gsub(/^ *\[default: |\]$/, "")
    print ".br"
    print "Default: " roff($0)
    next
}
/^          / { sub(/^ +/, ""); print roff($0); next }
