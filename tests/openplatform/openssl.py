"""openssl as a merchant runs it: pairs, signatures and proofs that none of our code has a part in."""

import base64
import subprocess


def run(*arguments, stdin=b"", cwd=None):
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Pair:
    """A pair in two files of `directory`; its private half is only ever read by openssl."""

    def __init__(self, directory, *, algorithm):
        self.algorithm, self.directory, self.private = algorithm, directory, directory / "private.pem"
        directory.mkdir(exist_ok=True)
        options = (
            ["-algorithm", "ED25519"]
            if algorithm == "ED25519"
            else ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        )
        run("genpkey", *options, "-out", str(self.private))
        self.public_pem = run("pkey", "-in", str(self.private), "-pubout").decode()

    def sign(self, message):
        """In base64."""
        if self.algorithm == "ED25519":
            file = self.directory / "message"
            file.write_bytes(message)
            return _text(run("pkeyutl", "-sign", "-rawin", "-inkey", str(self.private), "-in", str(file)))
        return _text(run("dgst", "-sha256", "-sign", str(self.private), stdin=message))


def verifies(directory, *, pem, message, signature):
    """Whether openssl takes `signature` (base64) for one of `message` under the public key `pem`."""
    names = {"pub.pem": pem.encode(), "sig": base64.b64decode(signature), "msg": message}
    for name, content in names.items():
        (directory / name).write_bytes(content)
    if "ED25519" in run("pkey", "-pubin", "-in", str(directory / "pub.pem"), "-text", "-noout").decode().upper():
        command = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub.pem", "-sigfile", "sig", "-in", "msg"]
    else:
        command = ["dgst", "-sha256", "-verify", "pub.pem", "-signature", "sig", "msg"]
    done = subprocess.run(["openssl", *command], capture_output=True, check=False, cwd=directory)
    return done.returncode == 0


def _text(raw):
    return base64.b64encode(raw).decode()
