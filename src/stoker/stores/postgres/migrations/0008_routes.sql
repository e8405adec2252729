-- The routes that jobs have had, so that a worker with tags learns of them without looking through the jobs. A route may
-- stand here twice: a unique index would let enqueuers wait for the open transaction of another.
CREATE TABLE stoker.route (
    route text NOT NULL
);
CREATE INDEX route_route ON stoker.route (route);
