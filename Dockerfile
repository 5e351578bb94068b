# Not built here: the machines this was written on have no Docker engine. Same pins as the Makefile,
# CUDA runtime through torch's own wheels, no weights: mount a Hugging Face cache or a folder.
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv python3-pip \
 && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/massannot
ENV PATH=/opt/massannot/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    HF_HOME=/weights

WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY massannot massannot
COPY pipelines pipelines
COPY schemas schemas
RUN pip install -c constraints.txt "torch==2.13.*" \
 && pip install -c constraints.txt ".[models]"

WORKDIR /work
ENTRYPOINT ["massannot"]
CMD ["--help"]
