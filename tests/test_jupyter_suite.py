"""Jupyter's own test suite for kernels, with every optional sample given."""

from __future__ import annotations

import os
from unittest import mock

import jupyter_kernel_test as suite
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

from conftest import fill
from labs import Lab
from places import Place

# They start one kernel each, and live in one worker's process.
pytestmark = pytest.mark.xdist_group("jupyter suite")


class Surroundings:
    """A lab, with the kernel installed for it and the place's environment in force."""

    def __init__(self) -> None:
        self.place = Place()
        self.lab = fill(Lab(self.place))
        prefix = self.place.path / "prefix"
        self.lab.overnight("install", "--prefix", str(prefix))
        self.env = mock.patch.dict(os.environ, self.place.env | {"JUPYTER_PATH": str(prefix / "share/jupyter")})
        self.env.start()

    def close(self) -> None:
        """Leaves nothing behind."""
        self.env.stop()
        left = self.place.quiet()
        self.place.kill_all()
        self.place.remove()
        assert not left, f"left behind: {left}"


class TestKernel(suite.KernelTests):
    """Everything that the suite asks of a kernel."""

    kernel_name = "overnight"
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("hello, world");'
    completion_samples = [
        {"text": "%exp", "matches": {"%experiments", "%experiment", "%export"}},
        {"text": "%loop sta", "matches": {"start", "status"}},
        {"text": "%experiments --sort v", "matches": {"value"}},
        {"text": "// 🌙\n%plot pro", "matches": {"progress"}},
    ]
    complete_code_samples = ["1 + 1", "%experiments", "fn main() {}", "!ls", "%%sql\nSELECT 1\n\n"]
    incomplete_code_samples = ["fn main() {", "%%sql\nSELECT 1", '"begun', "%loop start \\"]
    invalid_code_samples = ["fn main() }", "let x = );"]
    code_page_something = "%loop start?"
    code_generate_error = "%log 99"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": '"night".len()', "result": "5"},
    ]
    code_display_data = [
        {"code": "%experiments", "mime": "text/html"},
        {"code": "%plot progress", "mime": "application/vnd.vegalite.v5+json"},
        {"code": "%plot progress", "mime": "image/png"},
    ]
    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "6 * ?*"
    code_inspect_sample = "%loop start"
    code_clear_output = "%clear"

    @classmethod
    def setUpClass(cls) -> None:
        cls.surroundings = Surroundings()
        cls.surroundings.lab.night("--experiments", "2", "--seed", "1")
        cls.km, cls.kc = start_new_kernel(kernel_name=cls.kernel_name, cwd=str(cls.surroundings.lab.root))
        # The compiler's first start takes longer than the suite waits for a reply.
        cls.kc.execute_interactive("1 + 1", timeout=240)

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.km.cleanup_resources()
        cls.surroundings.close()


class TestWelcome(suite.IopubWelcomeTests):
    """JEP 65."""

    kernel_name = "overnight"
    support_iopub_welcome = True

    @classmethod
    def setUpClass(cls) -> None:
        cls.surroundings = Surroundings()
        cls.km = KernelManager(kernel_name=cls.kernel_name)
        cls.km.start_kernel(cwd=str(cls.surroundings.lab.root))
        cls.kc = cls.km.client()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.km.cleanup_resources()
        cls.surroundings.close()
