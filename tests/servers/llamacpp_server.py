"""Child process: llama.cpp's own HTTP server on a free port, until standard input closes.

Usage: python llamacpp_server.py MODEL.gguf endless|brief
"""

from __future__ import annotations

import sys

import xllamacpp


def main(model: str, kind: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"panelist-tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.endpoint_slots = True
    params.n_parallel = 2
    params.n_ctx = 8192  # shared by the slots: 4,096 tokens each
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0
    params.fit_params = params.warmup = params.ui = False
    params.offline = True
    params.sampling.seed = 7
    if kind == "endless":
        params.sampling.ignore_eos = True
    else:
        params.sampling.top_k, params.sampling.min_p = 0, 0.0  # nothing is too unlikely to be said, the end included
    server = xllamacpp.Server(params)  # listens, in threads of its own, once this returns; says where in its log
    sys.stdin.read()  # ends with our parent, however it ends
    del server


if __name__ == "__main__":
    main(*sys.argv[1:])
