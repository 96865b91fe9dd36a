# Reads the layers, then the sources; prints the includes that go upward or
# sideways, and the files that stand in no layer.

function module(path)
{
    sub(/.*\//, "", path)
    sub(/\.[ch]$/, "", path)
    return path
}

function complain(text)
{
    print FILENAME ":" FNR ": " text
    bad = 1
}

FILENAME ~ /layers$/ {
    if (!/^#/)
        for (i = 1; i <= NF; i++)
            layer[$i] = FNR
    next
}

FNR == 1 {
    self = module(FILENAME)
    if (!(self in layer))
        complain("no layer for it in test/lint/layers")
}

# PostgreSQL's own headers are not among ours.
/^#[ \t]*include[ \t]+"/ {
    split($0, part, "\"")
    other = module(part[2])
    if (part[2] ~ /\// || other == self ||
        !(self in layer) || !(other in layer))
        next
    if (layer[other] >= layer[self])
        complain("includes " part[2] ", which is not below it")
}

END { exit bad }
