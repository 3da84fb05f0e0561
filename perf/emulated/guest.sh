#!/bin/sh
# The first process of the guest: sets the machine up, runs /case, turns it off. Results are written
# line by line to the second serial port; the first one is the console.

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ip link set lo up
ulimit -n 20000
stty -F /dev/ttyS1 raw -echo
exec 3>/dev/ttyS1

PORT=9001
ADDRESS=127.0.0.1:$PORT
SERVER_PID=

out() { echo "$*" >&3; }

# fail WHAT FILE: reports an error, with the last lines of the output.
fail() {
    out "fail $1"
    [ -z "$2" ] || tail -n 5 "$2" | sed 's/^/  | /' >&3
}

# start_server MASK COMMAND...: runs it on the CPUs of the mask; returns when it listens.
start_server() {
    mask=$1
    shift
    taskset "$mask" "$@" >/tmp/server.log 2>&1 &
    SERVER_PID=$!
    tries=0
    until grep -q ":$(printf %04X $PORT) 00000000:0000 0A" /proc/net/tcp; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 $SERVER_PID; then
            fail "the server does not listen" /tmp/server.log
            return 1
        fi
        sleep 0.1
    done
}

# stop_server: sets STATUS to the exit status of the server within 10 s of SIGTERM.
stop_server() {
    kill -TERM $SERVER_PID
    (sleep 10; kill -KILL $SERVER_PID) 2>/dev/null &
    killer=$!
    wait $SERVER_PID
    STATUS=$?
    kill $killer
}

. /case
out end
exec 3>&-
sleep 0.2
poweroff -f
