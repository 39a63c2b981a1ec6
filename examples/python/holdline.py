#!/usr/bin/env python3
"""Sends to and follows a Holdline server, with Python's standard library alone (3.8 and later).

    holdline.py URL send CONVERSATION TEXT
    holdline.py URL follow [--state FILE] [--conversation ID] [--once]

The token is in the variable HOLDLINE_TOKEN. "send" repeats with one client_id until the outcome is certain, and prints the seq.
"follow" prints each event as a line of JSON, by long-poll; FILE keeps how far it has got. A run that is killed between printing and
keeping its place prints the last page again. Exit status: 0 done, 1 refused, 2 wrong use, 3 the token is refused.
"""

import argparse
import http.client
import json
import os
import random
import sys
import time
import urllib.parse
import uuid

WAIT = 25  # seconds that the server may hold a poll
SILENCE = 20  # seconds beyond that, and the connection counts as dead


class Refused(Exception):
    """An answer that repeating does not change: its status and the problem (RFC 9457) in it."""

    def __init__(self, status, problem):
        super().__init__(f"{problem.get('code', status)}: {problem.get('detail', '')}")
        self.status = status
        self.code = problem.get("code")


class Server:
    """One kept connection, and calls that are repeated until they are answered."""

    def __init__(self, url, token):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no address of a server")
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.connection = make(parts.hostname, parts.port, timeout=WAIT + SILENCE)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method, path, body=None):
        """Returns the answer's JSON. Comes back after no answer, 408, 429 and 5xx, for as long as it takes."""
        pause = 1.0
        while True:
            asked = None
            try:
                self.connection.request(method, path, body and json.dumps(body), self.headers)
                answer = self.connection.getresponse()
                content = answer.read()
                value = json.loads(content) if content else {}
                if not isinstance(value, dict):
                    raise ValueError("no answer of this server")
                if answer.status in (200, 201):
                    return value
                # A refusal has the server's code; else something in between has answered, or the address is another.
                certain = "code" in value or answer.status in (301, 308)
                if certain and answer.status not in (408, 429) and (answer.status < 500 or answer.status == 507):
                    raise Refused(answer.status, value)
                after = answer.getheader("Retry-After", "")
                asked = int(after) if after.isdigit() else None
                trouble = f"{answer.status} {value.get('code', '')}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                trouble = repr(error)
            self.connection.close()  # the next request opens it again
            print(f"holdline.py: {trouble}; trying again", file=sys.stderr)
            # Spread out, so that those who lost a server together do not come back together.
            time.sleep(random.uniform(pause / 2, pause) if asked is None else asked * random.uniform(1, 1.25))
            pause = min(pause * 2, 60)


def send(server, conversation, text):
    """Returns the seq of the message that the server has stored."""
    message = {"client_id": uuid.uuid4().hex, "text": text}
    while True:
        event = server.call("POST", f"/v1/conversations/{conversation}/messages", message)
        if "seq" in event:  # else something in between has answered
            return event["seq"]
        time.sleep(1)


class Place:
    """How far a follower has got: the cursor, and the last seq of each conversation."""

    def __init__(self, path):
        self.path = path
        self.cursor = None
        self.seqs = {}
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            self.cursor, self.seqs = kept["cursor"], kept["seqs"]

    def save(self):
        if not self.path:
            return
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump({"cursor": self.cursor, "seqs": self.seqs}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)

    def take(self, event):
        """Whether the event is new. Raises LookupError when one before it is missing."""
        last = self.seqs.get(event["conversation_id"])
        if last is not None and event["seq"] <= last:
            return False
        if last is not None and event["seq"] > last + 1:
            raise LookupError(f"{event['conversation_id']}: {last + 1} to {event['seq'] - 1} are missing")
        self.seqs[event["conversation_id"]] = max(event["seq"], event.get("through_seq", 0))
        return True


def follow(server, place, conversation=None, once=False):
    """Yields each event once, in the order of its conversation. What is yielded counts as taken when the next is asked for."""
    path = f"/v1/conversations/{conversation}/events" if conversation else "/v1/inbox"
    early = 0  # answers without news, one after the other, that were not held back
    while True:
        query = {"wait": 0 if once else WAIT, "limit": 100}
        if place.cursor:
            query["after" if conversation else "cursor"] = place.cursor
        elif not conversation:
            query["from"] = "start"
        began = time.monotonic()
        try:
            page = server.call("GET", f"{path}?{urllib.parse.urlencode(query)}")
        except Refused as refused:
            if refused.code != "cursor_reset":
                raise
            print("holdline.py: the log was restored; it follows from the beginning", file=sys.stderr)
            place.cursor, place.seqs = None, {}
            place.save()
            continue
        if "cursor" not in page:  # something in between has answered
            time.sleep(1)
            continue
        news = bool(page.get("receipts"))
        early = 0 if time.monotonic() - began > WAIT / 2 else early + 1
        for event in page["events"]:
            if place.take(event):
                news = True
                yield event
        if place.cursor != page["cursor"]:
            place.cursor = page["cursor"]
            place.save()
        if once and not page["more"]:
            return
        if news:
            early = 0
        # The first is of a server that goes down. Several are of something in between that holds nothing back.
        if early > 1:
            pause = min(2.0 ** (early - 2), 60)
            time.sleep(random.uniform(pause / 2, pause))


def main():
    parser = argparse.ArgumentParser(description="Sends to and follows a Holdline server.")
    parser.add_argument("url")
    commands = parser.add_subparsers(dest="command", required=True)
    sends = commands.add_parser("send")
    sends.add_argument("conversation")
    sends.add_argument("text")
    follows = commands.add_parser("follow")
    follows.add_argument("--state")
    follows.add_argument("--conversation")
    follows.add_argument("--once", action="store_true", help="end when there is nothing more for now")
    options = parser.parse_args()
    server = Server(options.url, os.environ["HOLDLINE_TOKEN"])
    try:
        if options.command == "send":
            print(send(server, options.conversation, options.text))
            return 0
        for event in follow(server, Place(options.state), options.conversation, options.once):
            print(json.dumps(event), flush=True)  # ASCII: nothing in it steers a terminal
        return 0
    except Refused as refused:
        print(f"holdline.py: refused, {ascii(str(refused))}", file=sys.stderr)
        return 3 if refused.status == 401 else 1
    except LookupError as missing:
        print(f"holdline.py: {ascii(str(missing))}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
