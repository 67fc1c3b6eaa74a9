"""A stand-in for Tencent's REST host on loopback: real HTTPS, status 200 always, the truth in `ErrorCode`. It checks
what the real one checks: path, admin account, and the admin's UserSig with our verifier."""

import json
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from usersig_django.exceptions import InvalidUserSig

OK = {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}


def fail(code):
    return {"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": "as documented"}


class RestHost:
    """`script` holds what the next calls get instead of the verdict: a dict is an answer, bytes a broken one, a
    number seconds of silence, None a cut connection. `calls` holds what arrived."""

    def __init__(self, signer, folder):
        self.signer = signer
        self.script = []
        self.calls = []
        certificate = make_certificate(folder)
        self.certificate = str(certificate)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_exc):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, body):
        url = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.calls.append({"path": url.path, "query": query, "body": json.loads(body)})
        if self.script:
            return self.script.pop(0)
        try:
            self.signer.verify(query["usersig"], userid=query["identifier"])
        except InvalidUserSig as error:
            return fail(error.tencent_code)
        return OK

    def _handler(host):  # noqa: N805  # the handler's own methods have a self
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = host.answer(self.path, body)
                if isinstance(answer, int | float):
                    time.sleep(answer)
                    answer = None
                if answer is None:
                    self.close_connection = True
                    return
                payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args):
                """The request line carries the admin's UserSig."""

        return Handler


def make_certificate(folder):
    """A key and a self-signed certificate for 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    path = folder / "stand-in.pem"
    path.write_bytes(pem)
    return path
