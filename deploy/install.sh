#!/bin/bash
# Installs its own checkout on Debian 12 or Ubuntu 24.04 and newer, or upgrades an installed relay to it.
# You can run it again at any time: steps that are done already change nothing. deploy/README.md explains the steps.
set -euo pipefail

readonly PREFIX=/opt/smarthost
readonly CONFIG_DIR=/etc/smarthost
readonly DATA_DIR=/var/lib/smarthost
readonly COMMAND=/usr/local/bin/smarthost
readonly UNIT=/etc/systemd/system/smarthost.service
readonly ACCOUNT=smarthost
readonly PORTS=(465 587 80)
readonly RESOLVER_CONF=/etc/unbound/unbound.conf.d/smarthost.conf
readonly NFT_FILE=/etc/nftables.conf
readonly NFT_MARK='# smarthost'
readonly OLDEST_NODE=18

usage() {
  cat <<EOF
Usage: deploy/install.sh [options]          install, or upgrade to this checkout
       deploy/install.sh --uninstall [--purge]

  --web              ask for the first configuration in the browser; without --hostname the default on a terminal
  --no-web           only install, and ask nothing
  --hostname NAME    write a first $CONFIG_DIR/smarthost.yaml for this host name, print the DNS records, start the relay
  --domain DOMAIN      a domain that sends; repeatable
  --email ADDRESS      who is told when something needs a person
  --accept-terms       accept the terms of the certificate authority (Let's Encrypt)
  --no-resolver      do not install unbound; DANE needs a resolver on this machine that validates
  --firewall         let ${PORTS[*]} in with ufw or nftables; never turns a firewall on
  --uninstall        remove the program and its service; keeps $CONFIG_DIR and $DATA_DIR
  --purge              and remove these two and the user, with all mail that waits
  --help
EOF
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
# Whether a command prints a line that matches. No pipe into grep -q: it leaves at the first match, the command dies of its next write,
# and pipefail makes a "no" of it.
says() {
  local pattern=$1
  shift
  grep -Eq -- "$pattern" <<<"$("$@")"
}
booted_with_systemd() { [ -d /run/systemd/system ] && has systemctl; }
is_active() { booted_with_systemd && systemctl is-active --quiet smarthost; }

# ---- the machine -------------------------------------------------------------------------------------------------------

require_debian() {
  local family
  # shellcheck disable=SC1091
  family=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || family=''
  case " $family " in
    *' debian '* | *' ubuntu '*) ;;
    *) die "this is neither Debian nor Ubuntu: install Node $OLDEST_NODE or newer and npm, then see deploy/README.md, \"By hand\"" ;;
  esac
}

# The system's Node only starts npm: the relay runs on the Node that package-lock.json pins.
ensure_npm() {
  if ! has node || ! has npm; then
    say 'Installing nodejs and npm'
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm ca-certificates >/dev/null
  fi
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge "$OLDEST_NODE" ] || die "Node $(node --version) is too old for npm: $OLDEST_NODE or newer is needed"
}

ensure_account() {
  getent passwd "$ACCOUNT" >/dev/null && return
  say "Adding the user $ACCOUNT"
  useradd --system --user-group --home-dir "$DATA_DIR" --no-create-home --shell /usr/sbin/nologin "$ACCOUNT"
}

# Commands that root runs become this user before they write data. The configuration belongs to root: the user can read it, but cannot
# replace it.
ensure_directories() {
  install -d -o "$ACCOUNT" -g "$ACCOUNT" -m 0700 "$DATA_DIR"
  install -d -o root -g "$ACCOUNT" -m 0750 "$CONFIG_DIR"
}

# ---- the resolver ------------------------------------------------------------------------------------------------------

# DANE uses only answers that a resolver on this machine has validated. If another resolver runs here, it stays as it is. A machine can do
# without the package, so no error of this part ends the installation.
ensure_resolver() {
  local other
  if [ -e "$RESOLVER_CONF" ]; then
    has unbound || {
      say "unbound was removed from this machine, so it is not installed again. To install it: rm $RESOLVER_CONF, and run this script again"
      return 0
    }
  elif other=$(resolver_here); then
    say "$other is on this machine and stays as it is; \"smarthost doctor\" says whether its answers are validated"
    return 0
  elif ! install_resolver; then
    warn 'unbound could not be installed: mail is delivered, but without DANE. Run this script again, or see "smarthost doctor"'
    return 0
  fi
  configure_resolver "$1/deploy/unbound.conf"
}

# Prints a resolver that may be configured for other uses, or that listens on the address that unbound would use.
resolver_here() {
  local name
  for name in unbound kresd named pdns_recursor dnsmasq; do
    if has "$name"; then
      echo "$name"
      return
    fi
  done
  # 127.0.0.1:53 and 0.0.0.0:53, as the kernel writes them
  if grep -Eqs '^ *[0-9]+: (0100007F|00000000):0035 ' /proc/net/udp; then
    echo 'a resolver on 127.0.0.1'
    return
  fi
  return 1
}

# The settings are written before the installation, so that unbound starts with them.
install_resolver() {
  say 'Installing unbound, a resolver for this machine only'
  { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends unbound dns-root-data >/dev/null 2>&1; } ||
    { apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends unbound dns-root-data >/dev/null; }
}

configure_resolver() {
  local new=$RESOLVER_CONF.new
  if cmp -s "$1" "$RESOLVER_CONF"; then return 0; fi
  install -D -m 0644 "$1" "$new"
  mv "$new" "$RESOLVER_CONF"
  if booted_with_systemd; then
    systemctl restart unbound || warn 'unbound does not start, see journalctl -u unbound. Mail is delivered, but without DANE'
  fi
}

# An existing configuration belongs to the operator, so the script only says what to add.
tell_resolver() {
  [ -e "$RESOLVER_CONF" ] && [ -e "$CONFIG_DIR/smarthost.yaml" ] || return 0
  if grep -Eq '^dns:' "$CONFIG_DIR/smarthost.yaml" || grep -Eqs '^nameserver (127\.0\.0\.1|::1)$' /etc/resolv.conf; then return 0; fi
  say "The relay still asks the system's resolver. For DANE, add this to $CONFIG_DIR/smarthost.yaml, and restart the relay:"
  say '  dns: { servers: [127.0.0.1] }'
}

# ---- the program -------------------------------------------------------------------------------------------------------

# The new version is built and tested beside the running one, then replaces it. If a step fails, the old version keeps running.
install_program() {
  local checkout=$1 new=$PREFIX.new item
  [ "$checkout" != "$PREFIX" ] || die "this is the installed copy itself: run install.sh from another checkout"
  say "Installing $checkout to $PREFIX"
  rm -rf "$new"
  install -d -m 0755 "$new"
  for item in src deploy package.json package-lock.json .npmrc README.md CHANGELOG.md LICENSE; do
    if [ -e "$checkout/$item" ]; then cp -R "$checkout/$item" "$new/"; fi
  done
  install_packages "$new"
  chown -R root:root "$new"
  chmod -R u=rwX,go=rX "$new"
  try_program "$new"
  if [ -d "$PREFIX" ]; then
    rm -rf "$PREFIX.previous"
    mv "$PREFIX" "$PREFIX.previous"
  fi
  mv "$new" "$PREFIX"
}

# No script of a package runs: root would run it, and argon2 would fetch the headers of Node to build what it has built already, or want a
# compiler where the system's Node tries it. Our own script makes the link to the Node of the relay. The headers in that package, and the
# compiler, which npm installs because a package could check types with it, are of no use here.
install_packages() {
  (cd "$1" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent postinstall) ||
    die 'npm could not install the packages, see above; nothing was changed. You can run this script again'
  # npm takes an optional package that it cannot download for one that this machine does not need.
  [ -x "$1/node_modules/.bin/node" ] ||
    die "npm has not downloaded Node for this machine ($(uname -m)); nothing was changed. There is one for x86_64 and aarch64: run this script again"
  rm -rf "$1"/node_modules/node-linux-*/{include,share} "$1"/node_modules/{typescript,@typescript}
}

try_program() {
  local run=("$1/node_modules/.bin/node" "$1/src/smarthost.ts")
  "${run[@]}" version >/dev/null || die "the new version does not start here; nothing was changed"
  if [ -e "$CONFIG_DIR/smarthost.yaml" ]; then
    (cd / && "${run[@]}" config check --config "$CONFIG_DIR/smarthost.yaml") ||
      die "the new version does not accept $CONFIG_DIR/smarthost.yaml; the installed one was left as it is"
  fi
}

install_command() {
  cat >"$COMMAND.new" <<EOF
#!/bin/sh
exec $PREFIX/node_modules/.bin/node $PREFIX/src/smarthost.ts "\$@"
EOF
  chmod 0755 "$COMMAND.new"
  mv "$COMMAND.new" "$COMMAND"
}

install_unit() {
  install -D -m 0644 "$PREFIX/deploy/smarthost.service" "$UNIT"
  if booted_with_systemd; then systemctl daemon-reload; fi
}

# The first configuration starts the relay, also if the program was installed before: after a mistake the command is run again.
configure() {
  if [ ${#INIT[@]} -eq 0 ]; then return 0; fi
  if [ -e "$CONFIG_DIR/smarthost.yaml" ]; then
    say "$CONFIG_DIR/smarthost.yaml exists and is not changed"
  else
    (cd / && "$COMMAND" init --dir "$CONFIG_DIR" --yes "${INIT[@]}") ||
      die 'the program is installed, and not configured. Put right what the line above says, and run the same command again'
    CONFIGURED=yes
  fi
}

# ---- the service -------------------------------------------------------------------------------------------------------

start_service() {
  local fresh=$1
  if ! booted_with_systemd; then
    warn "systemd does not run here: $UNIT is in place, but nothing was started. In the foreground: smarthost serve"
  elif [ ! -e "$CONFIG_DIR/smarthost.yaml" ]; then
    say 'Not started yet: there is no configuration.'
  elif is_active; then
    say 'Restarting the relay'
    systemctl restart smarthost
    look_at_service
  elif [ "$fresh" = yes ] || [ "$CONFIGURED" = yes ]; then
    systemctl enable --quiet --now smarthost
    look_at_service
  else
    say 'The relay was not running and is not started. To start it: systemctl enable --now smarthost'
  fi
}

# A relay that cannot open its ports or its store ends within the first seconds, and systemd restarts it without end.
look_at_service() {
  local pid
  pid=$(systemctl show -P MainPID smarthost)
  sleep 5
  if is_active && [ "$(systemctl show -P MainPID smarthost)" = "$pid" ]; then
    say 'The relay runs.'
    return
  fi
  journalctl -u smarthost -n 5 --no-pager -o cat >&2 || true
  if [ -d "$PREFIX.previous" ]; then say "To go back to the old version: $PREFIX.previous/deploy/install.sh" >&2; fi
  die 'the relay does not keep running, see journalctl -u smarthost'
}

# The browser is asked last, because this script waits for it. A person who leaves can go on with `smarthost init --web`.
ask_in_browser() {
  [ ${#INIT[@]} -eq 0 ] && [ ! -e "$CONFIG_DIR/smarthost.yaml" ] || return 0
  if [ "$WEB" = no ] || { [ "$WEB" = ask ] && ! [ -t 1 ]; }; then return 0; fi
  say ''
  (cd / && "$COMMAND" init --web --dir "$CONFIG_DIR") && return
  [ -e "$CONFIG_DIR/smarthost.yaml" ] || die 'the first configuration was not made. To go on: smarthost init --web'
  die "the configuration is written, but the relay did not start, or has ended. To try it: smarthost serve"
}

next_steps() {
  say ''
  say "smarthost $("$COMMAND" version) is installed."
  if [ -e "$CONFIG_DIR/smarthost.yaml" ]; then
    say 'Add a user:  smarthost user add anna@example.org'
  else
    say 'Next:  smarthost init                            asks a few questions, prints the DNS records to set; --web asks in the browser'
    say '       smarthost user add anna@example.org       adds a user that may send'
    say '       systemctl enable --now smarthost'
  fi
}

# ---- the firewall ------------------------------------------------------------------------------------------------------

open_firewall() {
  if has ufw && ufw_is_on; then
    open_ufw
  elif has nft && [ -n "$(nft_closed_chains)" ]; then
    open_nft
  elif has ufw; then
    open_ufw
  elif has firewall-cmd; then
    warn "firewalld is not handled here: firewall-cmd --permanent --add-port={465,587,80}/tcp && firewall-cmd --reload"
    return 1
  else
    say 'Firewall: neither ufw nor nftables blocks anything here, so no port needs to be opened.'
  fi
}

ssh_ports() {
  local ports=''
  if has sshd; then ports=$(sshd -T 2>/dev/null | awk '$1 == "port" { print $2 }'); fi
  if [ -z "$ports" ] && [ -r /etc/ssh/sshd_config ]; then
    ports=$(awk 'tolower($1) == "port" { print $2 }' /etc/ssh/sshd_config)
  fi
  echo "${ports:-22}"
}

ufw_is_on() { says '^Status: active' ufw status; }

open_ufw() {
  local port
  for port in "${PORTS[@]}"; do
    if says "^ufw allow $port(/tcp)?( |\$)" ufw show added; then continue; fi
    ufw allow "$port/tcp" comment smarthost >/dev/null
  done
  say "ufw: ports ${PORTS[*]} are open."
  for port in $(ssh_ports); do
    ufw_lets_ssh_in "$port" || {
      warn "the firewall is NOT ready: no rule of ufw allows SSH (port $port). Before you turn ufw on: ufw allow $port/tcp"
      return 1
    }
  done
  if ufw_is_on; then
    say 'The firewall is ready: SSH has a rule, ufw is on.'
  else
    say 'The firewall is ready: SSH has a rule. ufw is off and stays off; "ufw enable" turns it on.'
  fi
}

ufw_lets_ssh_in() {
  local rules
  rules=$(ufw show added | grep -E '^ufw (route )?(allow|limit) ' | grep -v '^ufw route' || true)
  grep -Eq "(^| |,)$1(,[0-9,:]+)?(/tcp)?( |\$)" <<<"$rules" && return
  [ "$1" = 22 ] && grep -Eqi ' (app )?(OpenSSH|ssh)( |$)' <<<"$rules"
}

# Base chains for incoming packets that block some of them, one "FAMILY TABLE CHAIN" per line. Chains of iptables-nft are left out, because
# it cannot read rules that nft has added.
nft_closed_chains() {
  nft list ruleset 2>/dev/null | awk '
    $1 == "table" { family = $2; table = $3 }
    $1 == "chain" { chain = $2; input = 0; closed = 0 }
    /hook input/ { input = 1; if (/policy drop/) closed = 1 }
    $NF == "drop" || /reject/ { closed = 1 }
    $1 == "}" && chain != "" {
      if (input && closed && !(table == "filter" && chain == "INPUT")) print family, table, chain
      chain = ""
    }'
}

open_nft() {
  local chain port ready=yes rule list
  list=$(printf '%s, ' "${PORTS[@]}")
  rule="tcp dport { ${list%, } } accept comment \"smarthost\""
  while read -ra chain; do
    if ! says 'comment "smarthost"' nft list chain "${chain[@]}"; then nft insert rule "${chain[@]}" "$rule"; fi
    keep_nft_rule "${chain[*]}" "$rule"
    say "nftables: ports ${PORTS[*]} are open, by the first rule of the chain ${chain[*]}."
    for port in $(ssh_ports); do
      if ! says "dport.*[ {,]($port|ssh)[ ,}].*accept" nft list chain "${chain[@]}"; then
        warn "the firewall is NOT ready: no rule of the chain ${chain[*]} allows SSH (port $port)"
        ready=no
      fi
    done
  done < <(nft_closed_chains)
  [ "$ready" = yes ] || return 1
  say 'The firewall is ready: SSH has a rule.'
}

# Adds the rule for the next boot, if the firewall's own file makes the chain.
keep_nft_rule() {
  local line="insert rule $1 $2 $NFT_MARK" new=$NFT_FILE.smarthost
  [ -f "$NFT_FILE" ] || {
    warn "$NFT_FILE does not exist. Add this line to the configuration of your firewall: insert rule $1 $2"
    return 0
  }
  if grep -qF "$line" "$NFT_FILE"; then return 0; fi
  cp -p "$NFT_FILE" "$new"
  printf '%s\n' "$line" >>"$new"
  if nft -c -f "$new" 2>/dev/null; then
    mv "$new" "$NFT_FILE"
  else
    rm -f "$new"
    warn "$NFT_FILE does not make the chain $1. Add this line to the configuration of your firewall: insert rule $1 $2"
  fi
}

# Removes only the rules with our name.
close_firewall() {
  local port rule
  if has ufw; then
    for port in "${PORTS[@]}"; do
      if says "^ufw allow $port/tcp comment 'smarthost'" ufw show added; then ufw delete allow "$port/tcp" >/dev/null; fi
    done
  fi
  if has nft; then
    while read -ra rule; do
      nft delete rule "${rule[@]}"
    done < <(nft -a list ruleset 2>/dev/null | awk '
      $1 == "table" { family = $2; table = $3 }
      $1 == "chain" { chain = $2 }
      /comment "smarthost"/ { print family, table, chain, "handle", $NF }')
    if [ -f "$NFT_FILE" ]; then sed -i "/$NFT_MARK\$/d" "$NFT_FILE"; fi
  fi
}

# ---- uninstalling ------------------------------------------------------------------------------------------------------

uninstall() {
  if booted_with_systemd && [ -e "$UNIT" ]; then systemctl disable --quiet --now smarthost; fi
  rm -f "$UNIT" "$COMMAND" /etc/systemd/system/multi-user.target.wants/smarthost.service
  if booted_with_systemd; then systemctl daemon-reload; fi
  close_firewall
  if [ -e "$RESOLVER_CONF" ]; then say 'unbound stays, because other programs may use it now. To remove it: apt-get purge unbound'; fi
  rm -rf "$PREFIX" "$PREFIX.previous" "$PREFIX.new"
  if [ "$PURGE" = yes ]; then
    rm -rf "$CONFIG_DIR" "$DATA_DIR"
    if getent passwd "$ACCOUNT" >/dev/null; then userdel "$ACCOUNT"; fi
    say 'The program was removed, with configuration, keys, credentials and mail.'
  else
    say "The program was removed. $CONFIG_DIR and $DATA_DIR stay, and the user that owns them; --purge removes them too."
  fi
}

main() {
  local checkout fresh=yes firewall=no uninstall=no resolver=yes
  PURGE=no INIT=() WEB=ask CONFIGURED=no
  while [ $# -gt 0 ]; do
    case $1 in
      --hostname | --domain | --email)
        [ $# -ge 2 ] || die "$1 needs a value"
        INIT+=("$1" "$2")
        shift
        ;;
      --accept-terms) INIT+=("$1") ;;
      --web) WEB=yes ;;
      --no-web) WEB=no ;;
      --firewall) firewall=yes ;;
      --no-resolver) resolver=no ;;
      --uninstall) uninstall=yes ;;
      --purge) PURGE=yes ;;
      --help | -h)
        usage
        exit 0
        ;;
      *)
        usage >&2
        exit 2
        ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || die 'this needs root: sudo deploy/install.sh'
  if [ "$uninstall" = yes ]; then
    uninstall
    return
  fi
  [ "$PURGE" = no ] || die '--purge goes with --uninstall'
  case " ${INIT[*]} " in
    '  ') ;;
    *' --hostname '*) [ "$WEB" != yes ] || die '--web asks for what --hostname says: give one of them' ;;
    *) die "${INIT[0]} goes with --hostname" ;;
  esac
  checkout=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
  [ -f "$checkout/src/smarthost.ts" ] || die "$checkout is not a checkout of smarthost"
  umask 022
  if [ -d "$PREFIX" ]; then fresh=no; fi

  require_debian
  ensure_npm
  if [ "$resolver" = yes ]; then ensure_resolver "$checkout"; fi
  ensure_account
  ensure_directories
  install_program "$checkout"
  install_command
  install_unit
  configure
  start_service "$fresh"
  if [ "$firewall" = yes ]; then open_firewall || firewall=closed; fi
  ask_in_browser
  next_steps
  tell_resolver
  [ "$firewall" != closed ]
}

main "$@"
