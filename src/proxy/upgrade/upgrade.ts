/**
 * WebSocket handshakes: checked and aimed like any other request, then governed and relayed by
 * `handshake.ts`.
 */
import { Socket } from 'node:net';
import { identifyCaller, NOBODY } from '../caller.ts';
import { SiftedRequest } from '../fields.ts';
import { failureAnswer } from '../own-answer.ts';
import type { Failure } from '../own-answer.ts';
import type { AgentDirectory, Caller, RoutingTable, UpgradeHandler, Way } from '../ports.ts';
import { answer } from '../raw-answer.ts';
import { resolveTarget } from '../target.ts';
import type { Target } from '../target.ts';
import { handshakeFault } from './fields.ts';
import { Handshake } from './handshake.ts';
import type { HandshakeDeps } from './handshake.ts';

export interface UpgradeDeps extends HandshakeDeps {
  routes(): RoutingTable;
  readonly agents: AgentDirectory;
}

/** Listener for an HTTP server's `upgrade` event, once the way in is known. */
export function createUpgradeHandler(deps: UpgradeDeps): UpgradeHandler {
  return (req, duplex, head, way) => {
    if (!(duplex instanceof Socket)) throw new TypeError('an upgrade needs a socket');
    const client = duplex;
    // Whatever goes wrong is followed by `close`, which every later owner listens to.
    client.on('error', () => undefined);
    const sifted = new SiftedRequest(req.rawHeaders);
    const refuse = (failure: Failure): void => {
      answer(client, failureAnswer(failure, sifted.accept));
    };
    const fault = handshakeFault(req, sifted);
    if (fault !== null) {
      refuse({ code: 'RL_BAD_REQUEST', values: { reason: fault } });
      return;
    }
    if (sifted.via.includes(deps.settings.viaName)) {
      refuse({ code: 'RL_LOOP', values: {} });
      return;
    }
    const target = resolveTarget(req.url ?? '', sifted.host, way, deps.routes());
    if (!target.ok) {
      refuse(target);
      return;
    }
    const caller = callerOf(deps, sifted, target, way);
    if ('code' in caller) refuse(caller);
    else new Handshake(deps, { req, client, sifted, target, caller }, head).start();
  };
}

function callerOf(
  deps: UpgradeDeps,
  sifted: SiftedRequest,
  target: Target,
  way: Way,
): Caller | Failure {
  const inside = way.kind === 'inside' ? way.proxyAuthorization : undefined;
  const proxyAuthorization = sifted.proxyAuthorization ?? inside;
  const facts = { own: sifted.own, pathAgent: target.agent, proxyAuthorization };
  const result = identifyCaller(facts, deps.agents);
  if (result.ok) return result.caller;
  // Observing changes nothing, so it refuses nobody either.
  if (deps.settings.mode() === 'observe') return NOBODY;
  const code = result.status === 407 ? 'RL_AGENT' : 'RL_BAD_REQUEST';
  return { code, values: { reason: result.message } };
}
