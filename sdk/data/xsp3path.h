/* What consumers read straight from the library's memory: members at the offsets of the newest public header. */
typedef struct {
  char reserved0[32];
  u_int32_t *buffer;       /* frame t is at t mod nbins_tf, one spectrum after the other */
  char reserved40[168];
  int dropped_frames;
  char reserved212[44];
  int64_t cur_tf_ext;      /* the newest frame's number */
  char reserved264[392];
} XSP3Histogram;

typedef struct {
  char reserved0[8];
  int type;                /* FEM_SINGLE or FEM_COMPOSITE */
  int valid;
  char reserved16[4];
  int sub_path[XSP3_MAX_CARDS];
  char reserved84[8];
  int num_cards;
  int num_chan;
  char reserved100[244];
  XSP3Histogram histogram[XSP3_MAX_CHANS_PER_CARD];
  char reserved10840[1160];
  int run_flags;
  char reserved12004[36];
  Xspress3_features features;
  char reserved12104[544];
} XSP3Path;

extern XSP3Path Xsp3Sys[XSP3_MAX_PATH];
