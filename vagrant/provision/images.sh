#!/usr/bin/env bash
# Loads the lab's image set from a bundle, unless the engine has just these images already.
# The bundle is what `python -m grader images save` writes, or a file that `docker save` wrote.
# The offline box has its images in the engine and needs none.
set -euo pipefail

# It came from the host just now, and goes again.
bundle=${1:-/var/tmp/drydock-images.bundle}
trap 'rm -f "$bundle"' EXIT

if [ ! -f "$bundle" ]; then
    # A label that all images of the kit have.
    count=$(docker image ls -q --filter label=drydock.origin | sort -u | wc -l)
    if [ "$count" -gt 0 ]; then
        echo "The image set is loaded already: $count images."
    else
        echo "No bundle of images: the engine pulls what it needs from its registry."
    fi
    exit 0
fi

is_zip() { [ "$(head -c 2 "$bundle")" = PK ]; }

# wanted: one line "ID NAME:TAG" for each image that the bundle's list names, whichever list it is:
#   {"images": {NAME: {"id": "sha256:ID", …, "tags": [TAG, …]}, …}, …}     of `images save`
#   [{"Config": "blobs/sha256/ID" or "ID.json", "RepoTags": [TAG, …], …}]  of `docker save`
wanted() {
    if is_zip; then printf '%s' "$list"; else tar -xOf "$bundle" manifest.json; fi |
        tr -d '\n' | grep -o '"[^"]*"\|[][]' | tr -d '"' | awk '
            key == "id" || key == "Config" {
                id = $0; sub(/^.*[:\/]/, "", id); sub(/\.json$/, "", id)
            }
            $0 == "]" { inside = 0 }
            inside { print "sha256:" id " " $0 }
            $0 == "[" { inside = key == "tags" || key == "RepoTags" }
            { key = $0 == "[" ? "" : $0 }' | sort -u
}

list=
if is_zip; then
    list=$(unzip -p "$bundle" manifest.json)
    # Windows and macOS have names of their own for the same processors.
    made_for=$(printf '%s' "$list" | sed -n 's/.*"architecture": *"\([^"]*\)".*/\1/p' | head -n 1)
    case $made_for in AMD64 | amd64) made_for=x86_64 ;; arm64 | ARM64) made_for=aarch64 ;; esac
    if [ -n "$made_for" ] && [ "$made_for" != "$(uname -m)" ]; then
        echo "The bundle has images for $made_for, this node is $(uname -m)." >&2
        echo "Write one on a machine of this kind: python -m grader images save FILE" >&2
        exit 1
    fi
fi

# The engine itself is asked, not a note beside it: it may have been recreated, or sealed in a box.
named=$(wanted || true)
there=$(docker image ls --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort -u)
if [ -n "$named" ] && [ -z "$(comm -23 <(echo "$named") <(echo "$there"))" ]; then
    echo "The image set is loaded already: $(echo "$named" | cut -d ' ' -f 1 | sort -u | wc -l) images."
    exit 0
fi

if is_zip; then
    # Streamed: unpacked first it would take its own size on the disk once more.
    unzip -p "$bundle" images.tar | docker load --quiet
else
    docker load --quiet <"$bundle"
fi
echo "The image set is loaded: $(docker image ls -q | sort -u | wc -l) images."
