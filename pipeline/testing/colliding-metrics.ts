/** Two metrics of one device that have one id without a salt, found within seconds by a program. */
export const COLLIDING_METRICS = {
  device: 'h-coll',
  metrics: [
    'osyeb7wcgwjjt2m8uphllog74lcbwprcobtvxop4b86t1fddr891128v6eak8ov7ea3dyy9vl9l08adtgnyttg2r64',
    'osyebwh7es5kfau8uphlig9he7wfozrcobtvxop4b86t1shi7x91128on5w88ov7e03bwb9vl9lvt4hwgnyttx8n7r',
  ],
} as const
