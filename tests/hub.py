"""A Hugging Face hub of one repository, as far as uploading and downloading a folder need one."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "f" * 40


class Hub(ThreadingHTTPServer):
    """Keeps what is committed to it in `files`: path -> bytes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_):
        pass

    def answer(self, value, headers=(), status=200):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        base = self.server.address
        if self.path.endswith("/repos/create"):
            self.answer({"url": f"{base}/user/model"})
        elif self.path.endswith("/validate-yaml"):
            self.answer({"warnings": [], "errors": []})
        elif "/preupload/" in self.path:
            asked = [file["path"] for file in json.loads(data)["files"]]
            modes = [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked
            ]
            self.answer({"files": modes})
        else:
            for line in map(json.loads, data.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.server.files[line["value"]["path"]] = content
            url = f"{base}/user/model/commit/{COMMIT}"
            self.answer({"commitUrl": url, "commitOid": COMMIT, "success": True})

    def do_GET(self):
        if "/resolve/" in self.path:
            content = self.server.files.get(self.path.split("/resolve/")[1].split("/", 1)[1])
            if content is None:
                headers = (("X-Repo-Commit", COMMIT), ("X-Error-Code", "EntryNotFound"))
                self.answer({}, headers, status=404)
                return
            tag = hashlib.sha256(content).hexdigest()
            self.answer(content, (("X-Repo-Commit", COMMIT), ("ETag", f'"{tag}"')))
        elif "/tree/" in self.path:
            self.answer(
                [
                    {"type": "file", "path": path, "size": len(content), "oid": COMMIT}
                    for path, content in self.server.files.items()
                ]
            )
        else:
            siblings = [{"rfilename": path} for path in self.server.files]
            self.answer({"id": "user/model", "sha": COMMIT, "siblings": siblings})

    do_HEAD = do_GET
