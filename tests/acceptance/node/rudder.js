// Posts an identify and a track for each number from FROM to TO with @rudderstack/rudder-sdk-node.
const RudderAnalytics = require('@rudderstack/rudder-sdk-node')

const { URL: dataPlaneUrl, KEY, FROM, TO } = process.env
const rudder = new RudderAnalytics(KEY, { dataPlaneUrl, flushAt: 100, flushInterval: 60000 })
for (let n = Number(FROM); n < Number(TO); n++) {
  const traits = { email: `node${n}@acme.io` }
  rudder.identify({ userId: `u-${n}`, traits })
  rudder.track({ userId: `u-${n}`, event: 'Signed Up', context: { traits } })
}
rudder.flush((error) => {
  if (error) console.error(error)
  process.exit(error ? 1 : 0)
})
