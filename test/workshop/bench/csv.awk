# csv.awk: reads rows "measurement,round,figure"; names may be quoted, for their
# commas.

# Sets name and round, and returns the figure.
function read_row(line,    rest) {
    if (line ~ /^"/) {
        match(line, /^"[^"]*"/)
        name = substr(line, 2, RLENGTH - 2)
    } else {
        match(line, /^[^,]*/)
        name = substr(line, 1, RLENGTH)
    }
    split(substr(line, RLENGTH + 2), rest, ",")
    round = rest[1]
    return rest[2] + 0
}

# Puts a figure into sorted[which, 1 .. count[which]].
function add(which, figure,    i) {
    for (i = ++count[which]; i > 1 && sorted[which, i - 1] > figure; i--)
        sorted[which, i] = sorted[which, i - 1]
    sorted[which, i] = figure
}

function median(which,    n) {
    n = count[which]
    if (n == 0) return 0
    return (sorted[which, int((n + 1) / 2)] + sorted[which, int((n + 2) / 2)]) / 2
}
