FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/destination
ENV PATH=/opt/destination/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The dependencies are a layer of their own: it is built again only when they change.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip install -r requirements.txt
COPY README.md LICENSE ./
COPY destination destination
COPY mappings mappings
RUN pip install --no-deps . && pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home destination \
    && install --directory --owner destination --mode 700 /data
COPY --from=build /opt/destination /opt/destination
WORKDIR /app
COPY mappings mappings
ENV PATH=/opt/destination/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DESTINATION_DATA_DIR=/data \
    DESTINATION_LOG_FORMAT=json
USER destination
EXPOSE 8080
# For `serve` and `up`; a `work` container has no port, so switch it off there (see compose.yaml).
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
ENTRYPOINT ["destination"]
# `serve` listens on loopback by default, which nobody outside of a container can reach.
CMD ["serve", "--host", "0.0.0.0"]
