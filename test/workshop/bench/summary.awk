# summary.awk: from rows "measurement,round,figure" on, the median of each
# measurement, in the order of their first row: name, median, smallest, largest
# and the ratio to the measurement BASELINE.  Names may be quoted, for their
# commas.

function fields(line) {
    if (line ~ /^"/) {
        match(line, /^"[^"]*"/)
        name = substr(line, 2, RLENGTH - 2)
        line = substr(line, RLENGTH + 2)
    } else {
        match(line, /^[^,]*/)
        name = substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 2)
    }
    split(line, rest, ",")
    return rest[2]
}

{
    figure = fields($0) + 0
    if (!(name in count)) names[++measurements] = name
    # Sorted as they come.
    for (i = ++count[name]; i > 1 && sorted[name, i - 1] > figure; i--)
        sorted[name, i] = sorted[name, i - 1]
    sorted[name, i] = figure
}

function median(name,    n) {
    n = count[name]
    if (n == 0) return 0
    return (sorted[name, int((n + 1) / 2)] + sorted[name, int((n + 2) / 2)]) / 2
}

END {
    base = median(BASELINE)
    for (m = 1; m <= measurements; m++) {
        name = names[m]
        printf "%s\t%.0f\t%.0f\t%.0f\t%s\n", name, median(name), \
            sorted[name, 1], sorted[name, count[name]], \
            base ? sprintf("%.2f", median(name) / base) : "-"
    }
}
