#!/usr/bin/env bash
# Check nlpseq on a machine with an NVIDIA GPU, from a checkout, in under 10 minutes. See usage().
# shellcheck disable=SC2317,SC2329 # because step() calls functions by name
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python3}
corpus='' pairs=() epochs=3 smoke='' only=packages,kernel,cupy,lm,benchmark limit=300
names=() results=() seconds=()

usage() {
    cat <<'END'
Usage: tests/gpu/check.sh [OPTIONS]

Runs on the GPU: the tests of CuPy layers, CUDA kernel and language model, and a benchmark of skip-gram.
Prints one table at the end. Exit code: 0 if every step passed, 1 if a step failed, 2 for wrong options.
nlpseq need not be installed and no network is used; missing packages are reported by name.

  --corpus FILE   text to train on, one sentence per line [default: a synthetic corpus]
  --pairs FILE    word pairs with scores (WordSim-353, SimLex-999); may be repeated [default: synthetic pairs]
  --epochs N      passes over the corpus in the benchmark [default: 3]
  --limit N       longest time of a step in seconds [default: 300]
  --python FILE   Python 3.11 or later [default: $PYTHON or python3]
  --only STEPS    some of packages,kernel,cupy,lm,benchmark [default: all]
  --smoke         run everything on the CPU with a tiny corpus, to try this script without a GPU
  --help          show this text
END
}

wrong() {
    printf 'check.sh: %s See tests/gpu/check.sh --help.\n' "$1" >&2
    exit 2
}

while (($#)); do
    case $1 in
        --help) usage; exit 0 ;;
        --smoke) smoke=1; shift; continue ;;
        --corpus | --pairs | --epochs | --limit | --python | --only)
            (($# > 1)) || wrong "$1: needs a value."
            case $1 in
                --corpus) corpus=$(realpath -m -- "$2") ;; # because the script changes the directory
                --pairs) pairs+=("$(realpath -m -- "$2")") ;;
                --epochs) epochs=$2 ;;
                --limit) limit=$2 ;;
                --python) python=$2; [[ $python != */* ]] || python=$(realpath -ms -- "$python") ;;
                --only) only=$2 ;;
            esac
            shift 2 ;;
        *) wrong "$1: unknown option." ;;
    esac
done
[[ $epochs =~ ^[1-9][0-9]*$ ]] || wrong "--epochs $epochs: must be a whole number from 1."
[[ $limit =~ ^[1-9][0-9]*$ ]] || wrong "--limit $limit: must be a whole number of seconds from 1."
[[ $only =~ ^(packages|kernel|cupy|lm|benchmark)(,(packages|kernel|cupy|lm|benchmark))*$ ]] ||
    wrong "--only $only: unknown step."
for file in ${corpus:+"$corpus"} ${pairs[@]+"${pairs[@]}"}; do
    [[ -f $file && -r $file ]] || wrong "$file: is not a readable file."
done
command -v "$python" >/dev/null || wrong "$python: not found. Name Python with --python."

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export NLPSEQ_SMOKE=$smoke NLPSEQ_CACHE_DIR=$work/cache NUMBA_CACHE_DIR=$work/cache/numba
export PYTHONPATH=$root:$root/tests${PYTHONPATH:+:$PYTHONPATH}
if ! "$python" -c 'from compression import zstd' 2>/dev/null && ! "$python" -c 'from backports import zstd' 2>/dev/null; then
    PYTHONPATH+=:$root/tests/gpu/stand_ins # nlpseq imports the module, the check reads no .zst
fi
cd "$root" || exit 1

step() { # NAME TITLE COMMAND...: run a step, show its output, note the result
    [[ ,$only, == *,$1,* ]] || return 0
    local title=$2 start=$SECONDS code=0 result=passed
    shift 2
    printf '\n== %s\n' "$title"
    "$@" || code=$?
    ((code == 0)) || result="FAILED (exit code $code)"
    ((code != 124)) || result="FAILED (longer than $limit s)"
    names+=("$title") results+=("$result") seconds+=($((SECONDS - start)))
}

run() { # ARGUMENT...: run Python, for a limited time
    timeout --kill-after=10 "$limit" "$python" "$@"
}

tests() { # FILE...: run pytest with its own settings, so that no plug-in of the project is needed
    run -m pytest -c tests/gpu/check.ini -p no:cacheprovider -q -ra "$@"
}

kernel() {
    if ! command -v g++ >/dev/null; then
        echo 'g++: missing, so the kernel is not compiled for the CPU. Install g++ (apt-get install g++).'
        return 1
    fi
    tests tests/word2vec/test_cuda.py -k 'not nvrtc and not nvcc'
}

benchmark() {
    local options=(--epochs "$epochs") file
    if [[ -n $corpus ]]; then options+=(--corpus "$corpus"); fi
    for file in ${pairs[@]+"${pairs[@]}"}; do options+=(--pairs "$file"); done
    run tests/gpu/tools.py benchmark "${options[@]}" --folder "$work" ${smoke:+--smoke} |
        tee "$work/table"
}

step packages 'Packages and GPU' run tests/gpu/tools.py packages ${smoke:+--smoke}
step kernel 'CUDA kernel compiled for the CPU' kernel
step cupy 'CuPy layers and CUDA kernel' tests tests/gpu/test_cupy.py
step lm 'Language model on CUDA' tests tests/gpu/test_lm_cuda.py
step benchmark 'Benchmark of skip-gram' benchmark

printf '\n== Summary%s\n\n| step | result | seconds |\n| --- | --- | ---: |\n' "${smoke:+ (smoke test on the CPU)}"
failed=0
for i in "${!names[@]}"; do
    printf '| %s | %s | %s |\n' "${names[i]}" "${results[i]}" "${seconds[i]}"
    [[ ${results[i]} == passed ]] || failed=1
done
if [[ -s $work/table ]]; then
    printf '\n'
    grep '^|' "$work/table"
fi
exit "$failed"
