# promises.awk: from lines "file, name, what, relation, bound, file, name" on, with the
# medians in FILE.tsv: whether each ratio, or without a second name each figure, is
# where it should be.  An unknown name has no line.
BEGIN { FS = "\t" }

function median(file, name,    line, part) {
    while ((getline line < (file ".tsv")) > 0) {
        split(line, part, "\t")
        if (part[1] == name) {
            close(file ".tsv")
            return part[2]
        }
    }
    close(file ".tsv")
    return 0
}

{
    value = median($1, $2)
    base = $6 ? median($6, $7) : 1
    if (!value || !base) next
    value /= base
    holds = $4 == "<=" ? value <= $5 : value >= $5
    printf "%s\t%.2f\t%s %s\t%s\n", $3, value, $4, $5, holds ? "yes" : "NO"
}
