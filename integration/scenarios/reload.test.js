// What integration/long.sh reload does at full size.

import { reloads } from '../long/reload.js'

reloads('reload', { sessions: 10, pages: 2, times: 20 })
