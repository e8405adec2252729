// The task of graphile-worker's own perfTest: it does nothing, but for one job of all.
module.exports = ({ id }) => {
  if (id === 999) {
    console.log("Found 999!");
  }
};
