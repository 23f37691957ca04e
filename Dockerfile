# An operator with its router, for a task in a folder that is mounted at /task. See docs/hosting.md.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN python -m pip install --no-cache-dir /wheels/*.whl \
    && rm -rf /wheels \
    && useradd --create-home --uid 1000 operator \
    && mkdir /data \
    && chown operator /data
USER 1000
WORKDIR /task
# The log, uploads, and the router's journal. The volume must be on a local disk.
VOLUME /data
EXPOSE 3000
# SIGTERM pauses the run; the next start resumes it.
CMD ["python", "run_task.py", "mephisto.database.data_dir=/data", "mephisto.architect.hostname=0.0.0.0", "mephisto.task.resume_incomplete_run=true"]
