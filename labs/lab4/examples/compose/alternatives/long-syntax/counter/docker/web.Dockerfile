# syntax=docker/dockerfile:1
ARG PYTHON=3.11
FROM python:${PYTHON} AS base
WORKDIR /code
ENV PYTHONUNBUFFERED=1
COPY requirements.txt app.py ./
RUN pip install -r requirements.txt
FROM base
EXPOSE 5000
ENTRYPOINT ["flask", "run"]
CMD ["--host=0.0.0.0", "--port=5000"]
