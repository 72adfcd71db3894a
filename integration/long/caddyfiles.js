// The configurations of the reload scenario. All but those that must fail keep the site and its room.

/** GRACE is the grace period, in seconds. */
export const GRACE = 3

/** caddyfile writes a configuration: that of all, with more lines at some places. Nobody answers at the port `taken`. */
export function caddyfile({ port, relay, taken }, { global = '', app = '', udp = port, site = '', directive = '', sites = '', grace = GRACE } = {}) {
  return `{
	persist_config off
	auto_https off
	grace_period ${grace}s
	${global}
	genosrtc {
		udp 127.0.0.1:${udp}
		${relay ? `relays ${relay} ${app}` : ''}
	}
}
http://:${port} {
	bind 127.0.0.1
	genosrtc {
		room demo
		${directive}
	}
	${taken ? `handle /hang {\nreverse_proxy 127.0.0.1:${taken}\n}` : ''}
	${site}
}
${sites}
`
}

/** another is one more site, on the next port. */
const another = ({ port }, directives) => `http://:${port + 1000} {\nbind 127.0.0.1\n${directives}\n}`

/** changes of what a site's sessions and links do not depend on, by name; n is another at each reload. */
export const changes = {
  'a header': (at, n) => ({ site: `header X-Reload ${n}` }),
  'the log level': () => ({ global: 'log {\nlevel WARN\n}' }),
  'another site': (at, n) => ({ sites: another(at, `respond "number ${n}"`) }),
  'limits': (at, n) => ({ directive: `limits {\nsessions ${1000 + n}\nper_address ${200 + n}\npending 4MiB\n}` }),
  'origins': (at, n) => ({ directive: `origins https://app-${n}.example` }),
  'a room more': (at, n) => ({ directive: `room room-${n} {\npassword ${n}\n}` }),
  'the same room at another site': at => ({ sites: another(at, 'genosrtc {\nroom demo\n}') }),
  'a second directive': (at, n) => ({ site: `genosrtc /other {\nroom room-${n}\n}` }),
  'a relay more': () => ({ app: 'ws://127.0.0.1:9' }),
  'the grace period': () => ({ grace: GRACE + 1 }),
  'another handler before': (at, n) => ({ site: `handle /number {\nrespond "number ${n}"\n}\nencode gzip` }),
}

// What would end sessions, were it not refused with the rest.
const ruin = { directive: 'room other {\npassword changed\n}' }

/** failures are configurations that are refused, and what is said of them, by name. */
export const failures = {
  'a Caddyfile that is none': [at => caddyfile(at, { site: '}' }), /./],
  'an option that there is not': [at => caddyfile(at, { directive: 'rooom other' }), /unknown option .*rooom/],
  'a port in use': [at => caddyfile(at, { ...ruin, sites: `http://:${at.taken} {\nbind 127.0.0.1\n}` }), /address already in use/],
  'another UDP port': [at => caddyfile(at, { ...ruin, udp: at.port + 1 }), /the UDP address cannot change/],
  'a variable that is not set': [at => caddyfile(at, { directive: 'room other {\npassword {env.GENOSRTC_NONE}\n}' }), /password of room .*other/],
  'a module that does not load': [at => caddyfile(at, { ...ruin, site: 'tls_nowhere' }), /unrecognized directive/],
  'without the room, and a port in use': [
    at => caddyfile(at, { sites: `http://:${at.taken} {\nbind 127.0.0.1\n}` }).replace('room demo', 'room other'),
    /address already in use/,
  ],
}
