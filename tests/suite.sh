#!/usr/bin/env bash
# Runs all tests that were built, in two rows side by side: the end-to-end cases, which compute for most of their
# time, and all others, which wait for much of theirs. One after the other they take a minute more. CARGO is that
# of the Makefile, the arguments are cargo's.
#
# The cases are shown as they go. Of the others all is shown at the end where something failed, else their sums.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

read -ra cargo <<<"${CARGO:-cargo}"
# The same packages in each row, so that their features are, too, and nothing is built again.
flags=("$@" --workspace)

# The names that `others` leaves out.
for left_out in */tests/ca* */*/tests/ca*; do
  [[ -e $left_out ]] || continue
  echo "no test's name may begin with ca, or tests/suite.sh would not run it: $left_out" >&2
  exit 1
done

others() {
  local status=0
  "${cargo[@]}" test "${flags[@]}" --no-fail-fast --lib --bins --test '[!c]*' --test 'c[!a]*' || status=$?
  "${cargo[@]}" test "${flags[@]}" --doc || status=$?
  return "$status"
}

cases() {
  "${cargo[@]}" test "${flags[@]}" --test cases
}

log=$(mktemp)
rows=()
end() {
  # Groups of their own, so that each ends with all it has started.
  for row in ${rows[@]+"${rows[@]}"}; do
    kill -TERM -- "-$row" 2>/dev/null || true
  done
  rm -f "$log"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

set -m
others </dev/null >"$log" 2>&1 &
rows+=($!)
cases </dev/null &
rows+=($!)
set +m

in_others=0 in_cases=0
wait "${rows[1]}" || in_cases=$?
wait "${rows[0]}" || in_others=$?
rows=()

if [[ $in_others != 0 ]]; then
  cat "$log"
elif [[ $in_cases == 0 ]]; then
  grep -aE 'Running|Doc-tests|^test result' "$log" || true
fi
[[ $in_others == 0 ]] || echo "failed: tests that are no end-to-end cases, above" >&2
[[ $in_cases == 0 ]] || echo "failed: end-to-end cases, above" >&2
exit $((in_cases != 0 ? in_cases : in_others))
