#!/bin/sh
# Install what Debian's packages give and this machine lacks: the host compiler, the cross compilers, the emulators,
# cppcheck, libFuzzer. Where this user may not install, say the one line to run and go on: the `native` board needs none of it.
set -eu

packages=""
need() { # need COMMAND PACKAGE...
    command -v "$1" >/dev/null 2>&1 && return
    shift
    packages="$packages $*"
}
need cc gcc libc6-dev
need qemu-system-arm qemu-system-arm
need arm-none-eabi-gcc gcc-arm-none-eabi libnewlib-arm-none-eabi
need qemu-system-riscv32 qemu-system-misc
need riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
need cppcheck cppcheck
if [ "$(uname -m)" = x86_64 ]; then # make usb: a guest with both ends of a USB cable
    need qemu-system-x86_64 qemu-system-x86
    need busybox busybox-static
fi
need perl perl
clang="" # with libFuzzer, for `make test`: 14 MB to download. Its packages bear its version
case "$([ ! -r /etc/os-release ] || . /etc/os-release && echo "${VERSION_CODENAME:-}")" in
    bookworm) clang=14 ;;
    noble) clang=18 ;;
    trixie) clang=19 ;;
esac
[ -z "$clang" ] || need "clang-$clang" "clang-$clang" "libclang-rt-$clang-dev"
python3 -c "import ensurepip, venv" 2>/dev/null || packages="$packages python3-venv"
[ -n "$packages" ] || exit 0

install="apt-get install -y --no-install-recommends$packages"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed:$packages. Only the board 'native' can be run here."
elif [ "$(id -u)" = 0 ]; then
    echo "Installing$packages"
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null) ||
        echo "Could not install$packages; going on without. To try again: $install"
elif sudo -n true 2>/dev/null; then
    echo "Installing$packages"
    (sudo -n apt-get update -qq && sudo -n DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null) ||
        echo "Could not install$packages; going on without. To try again: sudo $install"
else
    echo "For the emulated boards run: sudo $install"
fi
