# Not built here: the machines this was written on have no Docker engine. A test installs the package
# from exactly the files that are copied below. Same pins as the Makefile, CUDA runtime through
# torch's own wheels, no weights: mount a Hugging Face cache at /weights:
#   docker run --gpus all --user "$(id -u):$(id -g)" -v ~/.cache/huggingface:/weights
#     -v "$PWD:/work" massannot annotate ball.mp4 -p ball -o out
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv python3-pip \
 && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/massannot
ENV PATH=/opt/massannot/bin:$PATH \
    PIP_NO_CACHE_DIR=1

WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY massannot massannot
COPY pipelines pipelines
COPY schemas schemas
RUN pip install -c constraints.txt "torch==2.13.*" \
 && pip install -c constraints.txt ".[models,ray,s3]"

# Not root. The three folders are everybody's, so that `--user "$(id -u)"` writes files that belong to
# whoever runs it; USER because torch asks for a name, which such a number has not.
RUN useradd --create-home --uid 10001 massannot \
 && mkdir /weights /work \
 && chmod 1777 /home/massannot /weights /work
ENV HOME=/home/massannot \
    USER=massannot \
    HF_HOME=/weights
USER massannot
WORKDIR /work
ENTRYPOINT ["massannot"]
CMD ["--help"]
