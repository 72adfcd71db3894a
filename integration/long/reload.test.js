import { reloads } from './reload.js'

reloads('reload-long', { sessions: 50, pages: 4, times: Number(process.env.RELOADS ?? 100) })
