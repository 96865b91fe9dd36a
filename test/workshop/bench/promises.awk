# promises.awk (with csv.awk): from lines "file, name, what, relation, bound, file,
# name" on, with the figures in FILE.csv: whether the median of each ratio, or without
# a second name of each figure, is where it should be.  Ratios are of figures of the
# same round.  An unknown name has no line.
BEGIN { FS = "\t" }

# Stores the figures of a file, once.
function load(file,    line, value) {
    if (file in loaded) return
    loaded[file] = 1
    while ((getline line < (file ".csv")) > 0) {
        value = read_row(line)
        figure[file, name, round] = value
        if (round > rounds) rounds = round
    }
    close(file ".csv")
}

{
    load($1)
    if ($6) load($6)
    for (r = 1; r <= rounds; r++)
        if (figure[$1, $2, r] && (!$6 || figure[$6, $7, r]))
            add(NR, figure[$1, $2, r] / ($6 ? figure[$6, $7, r] : 1))
    value = median(NR)
    if (!value) next
    holds = $4 == "<=" ? value <= $5 : value >= $5
    printf "%s\t%.2f\t%s %s\t%s\n", $3, value, $4, $5, holds ? "yes" : "NO"
}
