# Counts the tests in the log of a suite, and prints "PASSED FAILED".  It reads
# what pg_regress 15, pg_regress 16 and later (TAP), prove, libFuzzer and our
# own lint print.

# pg_regress 15
/\.\.\. +ok +[0-9]+ ms$/         { passed++; next }
/\.\.\. +FAILED( |$)/            { failed++; next }

# TAP
/^not ok .*# TODO/               { next }
/^ok .*# SKIP/                   { next }
/^not ok( |$)/                   { failed++; next }
/^ok( |$)/                       { passed++; next }

# prove's summary
/\(Wstat: .* Failed: [0-9]+\)$/  {
    sub(/\)$/, "")
    bad = $NF
    passed -= bad
    failed += bad > 0 ? bad : 1
    next
}
/^Files=[0-9]+, Tests=[0-9]+,/   {
    sub(/.*Tests=/, "")
    passed += $0
    next
}

# libFuzzer
/^(Job [0-9]+ )?Done [0-9]+ runs in /          { passed++ }

END { print passed + 0, failed + 0 }
