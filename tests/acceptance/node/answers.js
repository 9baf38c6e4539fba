// Preloaded before an SDK: prints the status of every answer that it gets, by whichever client.
const { subscribe } = require('node:diagnostics_channel')

subscribe('http.client.response.finish', ({ response }) => console.log(`answered ${response.statusCode}`))
subscribe('undici:request:headers', ({ response }) => console.log(`answered ${response.statusCode}`))
