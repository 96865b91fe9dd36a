# Reads the folders of src/ in their order, then the sources; prints the
# includes that go to a folder above, folders that have no place in the order,
# and circles of includes.

function complain(place, text)
{
    print place ": " text
    bad = 1
}

FILENAME ~ /layers$/ {
    if (!/^#/)
        floor[$1] = FNR
    next
}

FNR == 1 {
    self = FILENAME
    sub(/^.*src\//, "", self)
    folder = self
    if (!sub(/\/.*/, "", folder))
        folder = ""
    else if (!(folder in floor))
        complain(FILENAME, "its folder is not in test/lint/layers")
    module = self
    sub(/\.[ch]$/, "", module)
}

# PostgreSQL's own headers are not among ours.
/^#[ \t]*include[ \t]+"/ {
    split($0, part, "\"")
    other = part[2]
    target = other
    sub(/\/.*/, "", target)
    sub(/\.h$/, "", other)
    if (!(target in floor) || other == module)
        next
    if (folder != "" && floor[target] > floor[folder])
        complain(FILENAME ":" FNR, "includes " part[2] ", which is above it")
    edges[module] = edges[module] " " other
}

function visit(name, path,   i, n, next_name)
{
    state[name] = 1
    n = split(edges[name], next_name, " ")
    for (i = 1; i <= n; i++)
        if (state[next_name[i]] == 1)
            complain("circle", path " " name " " next_name[i])
        else if (!state[next_name[i]])
            visit(next_name[i], path " " name)
    state[name] = 2
}

END {
    for (name in edges)
        if (!state[name])
            visit(name, "")
    exit bad
}
