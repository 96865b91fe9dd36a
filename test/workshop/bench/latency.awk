# latency.awk: from sorted latencies in microseconds, one a line, on: the 50th,
# 95th and 99th percentile, separated by tabs.
{ latency[NR] = $1 }
function percentile(p,    i) {
    i = int(NR * p / 100 + 0.999999)
    return NR ? latency[i < 1 ? 1 : i] : "-"
}
END { print percentile(50) "\t" percentile(95) "\t" percentile(99) }
