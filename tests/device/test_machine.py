from hwnas.device.machine import processor_flags, processor_name


def test_x86(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor : 0\nmodel name\t: A CPU\nflags\t\t: fpu sse2 smep avx2 fma\n\nmodel name: Another\n")
    assert processor_name(path) == "A CPU"
    assert processor_flags(path) == "avx2 fma sse2"


def test_arm(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("Features\t: fp asimd sve2 aes\nCPU part\t: 0xd40\n")
    assert processor_name(path) == "0xd40"
    assert processor_flags(path) == "asimd sve2"


def test_elsewhere(tmp_path):
    assert processor_name(tmp_path / "missing")
    assert processor_flags(tmp_path / "missing") == ""
