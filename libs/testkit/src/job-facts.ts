/** What a queue keeps of a job, for tests of what becomes of its record: small, and nothing is computed for it. */
export const JOB_FACTS = {
  tenant: 'default',
  signer: `ed25519:${'0'.repeat(64)}`,
  manifest: `sha256:${'0'.repeat(64)}`,
  shape: { samples: 100, features: 5, classes: 3 },
  hyperparameters: {
    iterations: 2,
    learningRate: 1,
    initialWeight: 0,
    sigmoid: { degree: 3 as const, range: 8, odd: [0.1068, -0.000385] },
  },
  parameters: 'N8192',
  tasksTotal: 4,
  levels: 6,
  chains: 2,
};
