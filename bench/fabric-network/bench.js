'use strict';
// The worker of bench/worker.py, with fabric-network: same input, same output.

const readline = require('node:readline');
const { performance } = require('node:perf_hooks');
const { Gateway, Wallets, DefaultEventHandlerStrategies } = require('fabric-network');

const ANSWER_WITHIN = 25; // seconds

async function main() {
  const plan = JSON.parse(await firstLine());
  const { network } = plan;
  const { identity } = network;
  const wallet = await Wallets.newInMemoryWallet();
  await wallet.put('user', {
    type: 'X.509',
    mspId: identity.msp_id,
    credentials: { certificate: identity.certificate, privateKey: identity.private_key },
  });
  const gateway = new Gateway();
  await gateway.connect(profile(network, identity.msp_id), {
    wallet,
    identity: 'user',
    // The profile names all nodes, so that the calls for discovery are saved.
    discovery: { enabled: false },
    eventHandlerOptions: {
      // A verdict from one peer of the own organisation, as the other clients have it.
      strategy: DefaultEventHandlerStrategies.MSPID_SCOPE_ANYFORTX,
      commitTimeout: ANSWER_WITHIN,
      endorseTimeout: ANSWER_WITHIN,
    },
  });
  const contract = (await gateway.getNetwork(network.channel)).getContract(network.chaincode);
  let number = 0;
  const submit = () =>
    contract.submitTransaction(plan.function, plan.argument.replaceAll('@NAME@', `${plan.prefix}-${number++}`));

  await submit();
  tell({ firstCommit: true });
  if (plan.atATime.length) {
    for (let n = 0; n < plan.warmUp; n++) await submit();
  }
  for (const atATime of plan.atATime) {
    tell({ atATime, ...(await load(submit, atATime, plan.seconds, plan.most)) });
  }
  gateway.disconnect();
}

async function load(submit, atATime, seconds, most) {
  let started = 0;
  const latencies = [];
  const errors = [];
  const began = performance.now();
  const calls = async () => {
    for (let sent; (sent = performance.now()) - began < seconds * 1000 && started++ < most; ) {
      try {
        await submit();
        latencies.push((performance.now() - sent) / 1000);
      } catch (error) {
        errors.push(String(error).slice(0, 300));
      }
    }
  };
  await Promise.all(Array.from({ length: atATime }, calls));
  return { latencies, seconds: (performance.now() - began) / 1000, errors };
}

function profile(network, mspId) {
  const nodes = (list, kind) =>
    Object.fromEntries(
      list.map((node, index) => [
        `${kind}${index}`,
        {
          url: `grpcs://${node.endpoint}`,
          tlsCACerts: { pem: network.tls_roots },
          grpcOptions: node.tls_hostname ? { 'ssl-target-name-override': node.tls_hostname } : {},
        },
      ]),
    );
  const peers = nodes(network.peers, 'peer');
  const orderers = nodes(network.orderers, 'orderer');
  return {
    name: 'bench',
    version: '1.0.0',
    client: { organization: 'own' },
    organizations: { own: { mspid: mspId, peers: Object.keys(peers) } },
    channels: {
      [network.channel]: {
        orderers: Object.keys(orderers),
        peers: Object.fromEntries(Object.keys(peers).map((name) => [name, {}])),
      },
    },
    peers,
    orderers,
  };
}

async function firstLine() {
  const lines = readline.createInterface({ input: process.stdin });
  for await (const line of lines) return line;
  throw new Error('no plan on standard input');
}

function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
