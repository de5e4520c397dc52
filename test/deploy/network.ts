/** Which connections network policies admit, by the rules of Kubernetes. */
import { BlockList, isIPv4 } from 'node:net';
import { selects, type Labels, type Peer, type Policy, type Rule } from './manifests.ts';

/** An end of a connection: a pod, or an address outside the cluster. */
export type End = { readonly name: string } & (
  | { readonly labels: Labels; readonly namespace: string; readonly namespaceLabels: Labels }
  | { readonly address: string }
);

interface Connection {
  readonly from: End;
  readonly to: End;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

/** @param namespace of the policies */
export function admits(policies: readonly Policy[], namespace: string, connection: Connection): boolean {
  return side('Egress', connection.from, connection.to) && side('Ingress', connection.to, connection.from);

  function side(type: 'Ingress' | 'Egress', own: End, other: End): boolean {
    // Pods elsewhere have policies of their own, or none.
    if ('address' in own || own.namespace !== namespace) return true;
    const applying = policies.filter(
      (policy) => policy.policyTypes.includes(type) && selects(policy.podSelector, own.labels),
    );
    if (applying.length === 0) return true;
    const rules = applying.flatMap(
      (policy): readonly Rule[] => (type === 'Ingress' ? policy.ingress : policy.egress) ?? [],
    );
    return rules.some((rule) => {
      const peers = type === 'Ingress' ? rule.from : rule.to;
      return (
        (peers === undefined || peers.some((peer) => isPeer(peer, other))) &&
        (rule.ports === undefined || rule.ports.some(isPort))
      );
    });
  }

  function isPeer(peer: Peer, end: End): boolean {
    if ('address' in end)
      return (
        peer.ipBlock !== undefined &&
        contains(peer.ipBlock.cidr, end.address) &&
        !(peer.ipBlock.except ?? []).some((cidr) => contains(cidr, end.address))
      );
    // Addresses of pods are private: a block that holds them would have to be an intention.
    if (peer.ipBlock !== undefined) return false;
    const sameNamespace =
      peer.namespaceSelector === undefined
        ? end.namespace === namespace
        : selects(peer.namespaceSelector, end.namespaceLabels);
    return sameNamespace && (peer.podSelector === undefined || selects(peer.podSelector, end.labels));
  }

  function isPort({ port, protocol = 'TCP' }: { readonly port?: number; readonly protocol?: string }): boolean {
    return protocol === connection.protocol && (port === undefined || port === connection.port);
  }
}

function contains(cidr: string, address: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  if (!isIPv4(network)) throw new Error(`${cidr} is no IPv4 network`);
  const list = new BlockList();
  list.addSubnet(network, Number(bits));
  return list.check(address);
}
