-- The schema registry keeps its schemas beside ours, in a database of its own.
CREATE DATABASE registry;
