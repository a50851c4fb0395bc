#!/bin/sh
# Makes sure that the tests have a browser, its driver, curl, git, nginx, and the npm packages they use: axe-core in the
# pages, the chains' own libraries as signers, an Ethereum node. Installs them as root on Debian, and otherwise says in
# one sentence what to install.
set -eu
cd "$(dirname "$0")"

PATH="$PATH:/usr/sbin" # where Debian has nginx
has() { command -v "$1" >/dev/null 2>&1; }
browser() { { has chromium && has chromedriver; } || has google-chrome || [ -d "/Applications/Google Chrome.app" ]; }

if ! browser || ! has npm || ! has curl || ! has git || ! has nginx; then
  if has apt-get && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    browser || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver >/dev/null
    has npm || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq npm >/dev/null
    has curl || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq curl >/dev/null
    has git || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq git >/dev/null
    has nginx || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx-light >/dev/null
  else
    echo "The tests need Chrome or Chromium with its driver, npm, curl, git and nginx; on Debian: sudo apt-get install chromium chromium-driver npm curl git nginx-light" >&2
    exit 1
  fi
fi

# node_modules is as new as the lock, or it is made again; after that the network is not needed.
for packages in . ../signers ../evm; do
  if [ ! -f "$packages/node_modules/.installed" ] || [ "$packages/package-lock.json" -nt "$packages/node_modules/.installed" ]; then
    npm ci --prefix "$packages" --ignore-scripts --no-audit --no-fund --silent
    touch "$packages/node_modules/.installed"
  fi
done
