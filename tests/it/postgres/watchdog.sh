# Runs the server of one cluster, on orders from standard input: one word a line, each answered with one line.
# When the orders end, however the process that gave them has ended, the server and its folder go too.
folder=$1 port=$2 is_ready=$3
shift 3
pid=

is_up() { [ -n "$pid" ] && kill -s 0 "$pid"; }

start() { # server's command line
    deadline=$(($(date +%s) + 60)) tries=0
    until "$is_ready" -q -h "$folder" -p "$port"; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        if ! is_up; then
            # More than once: after a kill -9 it refuses until the last process of the killed server has gone.
            [ "$tries" -lt 40 ] || return 1
            tries=$((tries + 1))
            "$@" < /dev/null >&2 &
            pid=$!
        fi
        sleep 0.05
    done
}

end() { # signal
    is_up && kill -s "$1" "$pid" || return 1
    wait "$pid"
    pid=
}

while read -r order; do
    case $order in
        start) start "$@" ;;
        *) end "$order" ;;
    esac && echo done || echo failed
done

end QUIT
# A server that was killed has left its shared memory.
id=$(sed -n '7s/.* //p' "$folder/data/postmaster.pid") && [ -n "$id" ] && ipcrm -m "$id"
rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
