#!/usr/bin/env python3
"""Starts a command as an invocation, prints what it does while it does it, and how it ended.

    run_and_follow.py PROJECT TASK COMMAND [ARGUMENT…]
"""

import json
import os
import sys
import time

import grpc

from reflected import Server


def socket_path():
    """Where the daemon listens unless it was told otherwise."""
    if "STEROIDS_SOCKET" in os.environ:
        return os.environ["STEROIDS_SOCKET"]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    state = os.environ.get("XDG_STATE_HOME", os.path.expanduser("~/.local/state"))
    if runtime:
        return f"{runtime}/steroids/steroidsd.sock"
    return f"{state}/steroids/run/steroidsd.sock"


def follow(invocations, project, number):
    """Every event once, whatever breaks in between: a cursor says where to go on."""
    cursor = ""
    while True:
        try:
            selector = {"project": project, "id": number}
            for batch in invocations.Follow(invocation=selector, after=cursor, follow=True):
                for event in batch.events:
                    cursor = event.cursor or cursor
                    yield json.loads(event.line)
            return
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            # The daemon stops, or is gone for the moment. The agent goes on.
            time.sleep(1)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    project, task, *argv = sys.argv[1:]
    server = Server(socket_path())
    invocations = server.service("steroids.v1.Invocations")
    projects = server.service("steroids.v1.Projects")

    projects.Register(path=project, init=True)
    started = invocations.Start(
        project=project, task_id=task, provider="command", argv=argv, timeout=30
    )
    for line in follow(invocations, project, started.invocation.id):
        print(line["type"], line.get("msg", line.get("outcome", "")))
    ended = invocations.Get(project=project, id=started.invocation.id).invocation
    print(f"{ended.outcome}, exit code {ended.exit_code}")


if __name__ == "__main__":
    main()
