# chart.awk: draws charts of horizontal bars, one below the other, as SVG.  Reads
# lines, separated by tabs: "chart", its title; then "bar", its name, the figure, the
# smallest and the largest of it, and "own" or "other".  A chart whose bars differ by
# more than 30 times is logarithmic.

BEGIN {
    FS = "\t"
    WIDTH = 1000; LEFT = 380; RIGHT = 900; ROW = 22; HEAD = 46; FOOT = 22
}

$1 == "chart" { title[++charts] = $2 }

$1 == "bar" && $3 > 0 {
    n = ++bars[charts]
    name[charts, n] = $2
    figure[charts, n] = $3
    low[charts, n] = $4
    high[charts, n] = $5
    own[charts, n] = $6 == "own"
}

function escape(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    return text
}

# 12345.6 as 12,346; small ones with digits behind the point.
function show(number,    text, tail) {
    if (number < 10) return sprintf("%.1f", number)
    text = sprintf("%.0f", number)
    while (length(text) > 3) {
        tail = "," substr(text, length(text) - 2) tail
        text = substr(text, 1, length(text) - 3)
    }
    return text tail
}

function place(number) {
    if (logarithmic)
        return LEFT + (RIGHT - LEFT) * (log(number) - log(least)) / (log(most) - log(least))
    return LEFT + (RIGHT - LEFT) * number / most
}

function draw(chart, y,    i, smallest) {
    most = 0; smallest = 0
    for (i = 1; i <= bars[chart]; i++) {
        if (high[chart, i] > most) most = high[chart, i]
        if (!smallest || low[chart, i] < smallest) smallest = low[chart, i]
    }
    if (smallest <= 0) smallest = 1
    logarithmic = most > 30 * smallest
    least = smallest / 2
    printf "<text x=\"16\" y=\"%d\" font-size=\"15\" font-weight=\"bold\">%s%s</text>\n", y + 28, \
        escape(title[chart]), logarithmic ? " (logarithmic)" : ""
    y += HEAD
    for (i = 1; i <= bars[chart]; i++) {
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 15, escape(name[chart, i])
        printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT, y + 3, \
            place(figure[chart, i]) - LEFT, ROW - 6, own[chart, i] ? "#2f6fb3" : "#b5b5b5"
        printf "<path d=\"M%.1f %d H%.1f\" stroke=\"#222\"/>\n", place(low[chart, i] > 0 ? low[chart, i] : smallest), \
            y + ROW / 2, place(high[chart, i])
        printf "<text x=\"%.1f\" y=\"%d\">%s</text>\n", place(high[chart, i]) + 8, y + 15, show(figure[chart, i])
        y += ROW
    }
    return y + FOOT
}

END {
    height = 0
    for (c = 1; c <= charts; c++)
        if (bars[c]) height += HEAD + bars[c] * ROW + FOOT
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" " \
        "font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"12\">\n", WIDTH, height, WIDTH, height
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    y = 0
    for (c = 1; c <= charts; c++)
        if (bars[c]) y = draw(c, y)
    print "</svg>"
}
