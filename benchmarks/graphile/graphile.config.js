// The settings of graphile-worker's own perfTest, with which its headline figures are taken.
module.exports = {
  worker: {
    connectionString: process.env.DATABASE_URL,
    taskDirectory: `${__dirname}/tasks`,
    fileExtensions: [".js", ".cjs", ".mjs"],
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    gracefulShutdownAbortTimeout: 2500,
  },
};
