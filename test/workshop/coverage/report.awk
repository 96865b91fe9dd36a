# report.awk: what lcov has counted, for a reader.
#
#	awk -v top=FOLDER/ -f report.awk unreached counts.info
#
# "unreached" has lines FILE <tab> TEXT <tab> REASON: the lines of FILE that
# contain TEXT, and those that follow without one that is reached, are not
# reached for that REASON.

BEGIN { FS = "\t" }

FNR == 1 { input++ }

input == 1 && /^[^#]/ {
	texts++
	file_of[texts] = $1
	text[texts] = $2
	reason[texts] = $3
	next
}

/^SF:/ {
	path = substr($0, 4)
	name = substr(path, length(top) + 1)
	load(path)
	after = 0
	next
}

/^DA:/ {
	split(substr($0, 4), count, ",")
	lines[name]++
	if (count[2] > 0) { reached[name]++; after = 0 }
	else judge(count[1])
}

# Puts the line into one of the two lists.
function judge(line,   i)
{
	for (i = 1; i <= texts; i++)
		if (file_of[i] == name && index(source[line], text[i]))
		{
			after = i
			used[i] = 1
		}
	if (after)
		explained[after] = explained[after] " " line
	else
		rest[++rests] = sprintf("%s:%d: %s", name, line, trim(source[line]))
}

function load(path,   n, line)
{
	split("", source)
	while ((getline line < path) > 0)
		source[++n] = line
	close(path)
}

function trim(string)
{
	gsub(/^[ \t]+|[ \t]+$/, "", string)
	return string
}

function share(part, all) { return all ? 100 * part / all : 0 }

END {
	for (name in lines)
	{
		printf "%-28s %4d of %4d lines, %5.1f %%\n", name, reached[name],
			lines[name], share(reached[name], lines[name]) | "sort"
		all += lines[name]
		all_reached += reached[name]
	}
	close("sort")
	printf "%-28s %4d of %4d lines, %5.1f %%\n", "all", all_reached, all,
		share(all_reached, all)

	print "\nNot reached, for a reason:"
	for (i = 1; i <= texts; i++)
		if (used[i])
			printf "%s:%s: %s\n", file_of[i], explained[i], reason[i]
	print "\nNot reached:"
	for (i = 1; i <= rests; i++)
		print rest[i]
	for (i = 1; i <= texts; i++)
		if (!used[i])
			printf "unreached: %s has no such line that is not reached: %s\n",
				file_of[i], text[i]
}
