# summary.awk (with csv.awk): the median of each measurement, in the order of their
# first row: name, median, smallest, largest and the ratio to the measurement BASELINE.

{
    figure = read_row($0)
    if (!(name in count)) names[++measurements] = name
    add(name, figure)
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
