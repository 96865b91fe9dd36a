# plot.gp: the medians in wire.tsv and inside.tsv, with their ranges, as one
# picture; run in the folder they are in.
set terminal svg size 1000,900 font "sans,13" background "white"
set output "bench.svg"
set datafile separator "\t"
set style fill solid 0.6
set boxwidth 0.6
set grid ytics
set yrange [0:*]
set xtics rotate by -25 noenhanced
set key off
set rmargin 20
set multiplot layout 2,1
set title "Calls per second over a socket (median, range)"
plot "wire.tsv" using 0:2:xtic(1) with boxes, \
     "" using 0:2:3:4 with yerrorbars linecolor "black" pointtype 0
set title "Nanoseconds per call inside the server (median, range)"
plot "inside.tsv" using 0:2:xtic(1) with boxes, \
     "" using 0:2:3:4 with yerrorbars linecolor "black" pointtype 0
unset multiplot
