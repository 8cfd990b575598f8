/* sdk_abi.h - C ABI of libxspress3 as bound and emulated by xsp3ioc.
 * Plain declarations that a cffi cdef() accepts.
 * Bound ABI: the newest public header ("N", January 2023), LP64. uint32_t = the library's u_int32_t.
 * "INFERRED" marks a prototype deduced from a client's use; no public header has it.
 * Constants are enumerators here; a C header that consumers compile against must spell them as
 * one-line literal #defines.
 */

/* ---- [c-err] error codes ---- */
enum { XSP3_OK = 0, XSP3_ERROR = -1, XSP3_INVALID_PATH = -2, XSP3_ILLEGAL_CARD = -3, XSP3_ILLEGAL_SUBPATH = -4,
  XSP3_INVALID_DMA_STREAM = -5, XSP3_RANGE_CHECK = -6, XSP3_INVALID_SCOPE_MOD = -7, XSP3_OUT_OF_MEMORY = -8,
  XSP3_ERR_DEV_NOT_FOUND = -9, XSP3_CANNOT_OPEN_FILE = -10, XSP3_FILE_READ_FAILED = -11, XSP3_FILE_WRITE_FAILED = -12,
  XSP3_FILE_RENAME_FAILED = -13, XSP3_LOG_FILE_MISSING = -14, XSP3_WOULD_BLOCK = -20 };

/* ---- [c-size] sizes and limits ---- */
enum { XSP3_BINS_PER_MCA = 4096, XSP3_ENERGIES = 4096, XSP3_SW_NUM_SCALERS = 9, XSP3_HW_USED_SCALERS = 7,
  XSP3_HW_DEFINED_SCALERS = 8, XSP3_SOFT_SCALER_NUM_WINDOWS = 2, XSP3_MAX_CARDS = 16, XSP3_MAX_CARD_INDEX = 62,
  XSP3_MAX_PATH = 34, XSP3_MAX_CHANS_PER_CARD = 16, XSP3_MAX_CHANS_PER_CARD_ORG = 9, XSP3_MAX_CHANS = 256,
  XSP3_MAX_MSG_LEN = 1024, XSP3_MAX_IP_CHARS = 16, XSP3_MAX_ROI = 8, XSP3_MIN_BITS_ENG = 1, XSP3_MAX_BITS_ENG = 12,
  XSP3_ADC_RANGE = 65536, XSP3_CALIB_NBITS = 10, XSP3_MAX_PLAYBACK_FILES = 10, XSP3_NUM_LM75 = 4, XSP3M_NUM_LM75 = 4,
  XSP4_NUM_LM75 = 5 };
enum { FEM_SINGLE = 0, FEM_COMPOSITE = 1 };       /* XSP3Path.type */

/* ---- [c-run] run flags, clock sources, clock flags ---- */
enum { XSP3_RUN_FLAGS_PLAYBACK = 1, XSP3_RUN_FLAGS_SCOPE = 2, XSP3_RUN_FLAGS_SCALERS = 4, XSP3_RUN_FLAGS_HIST = 8,
  XSP3_RUN_FLAGS_DIAG_HIST = 0x10, XSP3_RUN_FLAGS_CIRCULAR_BUFFER = 0x100 };
enum {
  XSP3_CLK_SRC_INT = 0, XSP3_CLK_SRC_XTAL = 1, XSP3_CLK_SRC_EXT = 2, XSP3_CLK_SRC_FPGA = 3, /* never implemented */
  XSP3M_CLK_SRC_CDCM61004 = 0x10, XSP3M_CLK_SRC_LMK61E2 = 0x11, /* Mini, or X4 ADC board */
  XSP4_CLK_SRC_MIDPLN_CDCM61004 = 0x20, XSP4_CLK_SRC_MIDPLN_LMK61E2 = 0x21 };
enum { XSP3_CLK_FLAGS_MASTER = 0x1, XSP3_CLK_FLAGS_NO_DITHER = 0x2, XSP3_CLK_FLAGS_STAGE1_ONLY = 0x4,
  XSP3_CLK_FLAGS_NO_CHECK = 0x8, XSP3_CLK_FLAGS_TP_ENB = 0x10, XSP3_CLK_FLAGS_DIS_OVER_TEMP = 0x20,
  XSP3_CLK_FLAGS_SHUTDOWN0 = 0x40, XSP3_CLK_FLAGS_SHUTDOWN123 = 0x80, XSP3_CLK_FLAGS_SHUTDOWN4 = 0x100,
  XSP3_CLK_FLAGS_SHUTDOWN5678 = 0x200, XSP3_CLK_FLAGS_SHUTDOWN1 = 0x400, XSP3_CLK_FLAGS_SHUTDOWN2 = 0x800,
  XSP3_CLK_FLAGS_SHUTDOWN3 = 0x1000, XSP3_CLK_FLAGS_SHUTDOWN5 = 0x2000, XSP3_CLK_FLAGS_SHUTDOWN6 = 0x4000,
  XSP3_CLK_FLAGS_SHUTDOWN7 = 0x8000, XSP3_CLK_FLAGS_SHUTDOWN8 = 0x10000, XSP3_CLK_FLAGS_SHUTDOWN9 = 0x20000,
  XSP3_CLK_FLAGS_TS_SYNC = 0x40000000 };

/* ---- [c-time] timing sources, TTL output, frame generator ---- */
enum { XSP3_GTIMA_SRC_FIXED = 0, XSP3_GTIMA_SRC_SOFTWARE = 0, XSP3_GTIMA_SRC_INTERNAL = 1,
  XSP3_GTIMA_SRC_SWENB_HWMARKER = 2, XSP3_GTIMA_SRC_IDC = 3, XSP3_GTIMA_SRC_TTL_VETO_ONLY = 4,
  XSP3_GTIMA_SRC_TTL_BOTH = 5, XSP3_GTIMA_SRC_LVDS_VETO_ONLY = 6, XSP3_GTIMA_SRC_LVDS_BOTH = 7 };
enum { XSP3_ALT_TTL_TIMING_VETO = 0, XSP3_ALT_TTL_TIMING_ALL = 1, XSP3_ALT_TTL_TIMING_VETO_RUN = 2,
  XSP3_ALT_TTL_TIMING_VETO_GR = 4, XSP3_ALT_TTL_TIMING_ALL_GR = 5, XSP3_ALT_TTL_INWINDOW = 8,
  XSP3_ALT_TTL_INWINLIVE = 9, XSP3_ALT_TTL_INWINLIVETOGGLE = 10, XSP3_ALT_TTL_INWINGOODLIVE = 11,
  XSP3_ALT_TTL_INWINGOODLIVETOGGLE = 12 };
enum { XSP3_GTIMB_IMRK_TTL = 0, XSP3_GTIMB_IMRK_SW = 1, XSP3_GTIMB_IMRK_ITFG = 2 };
enum {
  XSP3_ITFG_TRIG_MODE_BURST = 0, XSP3_ITFG_TRIG_MODE_SOFTWARE = 1, XSP3_ITFG_TRIG_MODE_HARDWARE = 2,
  XSP3_ITFG_TRIG_MODE_PB0GLOB_RESET = 3, /* test */
  XSP3_ITFG_TRIG_MODE_SOFTWARE_ONLY_FIRST = 5, XSP3_ITFG_TRIG_MODE_HARDWARE_ONLY_FIRST = 6 };
enum { XSP3_ITFG_GAP_MODE_25NS = 0, XSP3_ITFG_GAP_MODE_200NS = 1, XSP3_ITFG_GAP_MODE_500NS = 2,
  XSP3_ITFG_GAP_MODE_1US = 3 };
enum { XSP3_ITFG_TRIG_ACQ_PAUSED_OFF = 0, XSP3_ITFG_TRIG_ACQ_PAUSED_ALL = 1, XSP3_ITFG_TRIG_ACQ_PAUSED_EXCL_FIRST = 2,
  XSP3_ITFG_MAX_NUM_FRAMES = 0xFFFFFF };
enum {  /* cabling between boxes, xsp3_set_sync_mode */
  XSP3_SYNC_NONE = 0, XSP3_SYNC_LEMO_RADIAL = 1, XSP3_SYNC_LEMO_DAISYCHAIN = 2, XSP3_SYNC_IDC = 3,
  XSP3_SYNC_MIDPLANE = 4, XSP3_SYNC_LEMO_DAISYCHAIN_TEE = 5, XSP3_SYNC_GLOBAL_RESET = 0x8000 };

/* ---- [c-scal] scaler indices ---- */
enum { XSP_SW_SCALER_LIVE_TICKS = 0, XSP_SW_SCALER_RESET_TICKS = 1, XSP_SW_SCALER_NUM_RESETS = 2,
  XSP_SW_SCALER_ALL_EVENT = 3, XSP_SW_SCALER_ALL_GOOD = 4, XSP_SW_SCALER_IN_WINDOW0 = 5, XSP_SW_SCALER_IN_WINDOW1 = 6,
  XSP_SW_SCALER_PILEUP = 7, XSP_SW_SCALER_TOTAL_TICKS = 8 };
enum {  /* older names of 0..7 */
  XSP3_SCALER_TIME = 0, XSP3_SCALER_RESETTICKS = 1, XSP3_SCALER_RESETCOUNT = 2, XSP3_SCALER_ALLEVENT = 3,
  XSP3_SCALER_ALLGOOD = 4, XSP3_SCALER_INWINDOW0 = 5, XSP3_SCALER_INWINDOW1 = 6, XSP3_SCALER_PILEUP = 7 };

/* ---- [c-fmt] histogram format, dead-time flags, channel control ---- */
enum {  /* aux1_mode argument of xsp3_format_run */
  XSP3_FORMAT_AUX1_MODE_NONE = 0, XSP3_FORMAT_AUX1_MODE_PILEUP = 7, XSP3_FORMAT_AUX1_MODE_CSHR = 10,
  XSP3_FORMAT_AUX1_MODE_CSHR_ENC = 11, XSP3_FORMAT_AUX1_MODE_GOOD_GRADE = 15,
  XSP3_FORMAT_AUX1_MODE_TIMESTAMPED = 100 /* list mode; never written to the hardware */ };
enum {  /* same argument, resolution-mode names */
  XSP3_FORMAT_RES_MODE_NONE = 0, XSP3_FORMAT_RES_MODE_MINDIV8 = 1, XSP3_FORMAT_RES_MODE_THRES = 2,
  XSP3_FORMAT_RES_MODE_LOG = 3, XSP3_FORMAT_RES_MODE_TOP = 4, XSP3_FORMAT_RES_MODE_BOT = 5,
  XSP3_FORMAT_RES_MODE_MIN = 6, XSP3_FORMAT_RES_MODE_PILEUP = 7, XSP3_FORMAT_RES_MODE_LUT_SETUP = 8,
  XSP3_FORMAT_RES_MODE_LUT_THRES = 9, XSP3_FORMAT_RES_MODE_T6B4 = 12, XSP3_FORMAT_RES_MODE_GOOD_GRADE = 15 };
enum {  /* aux2_mode */
  XSP3_FORMAT_AUX2_ADC = 0, XSP3_FORMAT_AUX2_WIDTH = 1, XSP3_FORMAT_AUX2_RST_START_ADC = 2,
  XSP3_FORMAT_AUX2_NEB_RST_ADC = 3, XSP3_FORMAT_AUX2_NEB_RST_RST_START_ADC = 4, XSP3_FORMAT_AUX2_TIME_FROM_RST = 5,
  XSP3_FORMAT_AUX2_NEB_RST_TIME_FROM_RST = 6, XSP3_FORMAT_AUX2_NEB_RST_TIME_FROM_RSTX8 = 7 };
enum {  /* aux2_cont: code -> bits in the name */
  XSP3_FORMAT_NBITS_AUX0 = 0, XSP3_FORMAT_NBITS_AUX4 = 1, XSP3_FORMAT_NBITS_AUX6 = 2, XSP3_FORMAT_NBITS_AUX8 = 3,
  XSP3_FORMAT_NBITS_AUX10 = 4, XSP3_FORMAT_NBITS_AUX12 = 5, XSP3_FORMAT_NBITS_AUX14 = 6, XSP3_FORMAT_NBITS_AUX16 = 7 };
enum { XSP3_FORMAT_USER_TIMESTAMP = 0x8, XSP3_FORMAT_PILEUP_REJECT = 0x80000000 };
enum { XSP3_DTC_OMIT_CHANNEL = 1, XSP3_DTC_USE_GOOD_EVENT = 2 };
enum {
  XSP3_CC_SEL_DATA_NORMAL = 0, XSP3_CC_SEL_DATA_ALTERNATE = 1, XSP3_CC_SEL_DATA_MUX_DATA = 2, XSP3_CC_SEL_DATA_EXT0 = 4,
  XSP3_CC_SEL_DATA_EXT1 = 5, XSP3_CC_SEL_DATA_PB_CHAN = 6, XSP3_CC_SEL_DATA_GLOB_RST = 7, /* bits 2..0 of chan_cont */
  XSP3_CC_DATA_INV = 8, XSP3_CC_DET_RESET_INV = 16, XSP3_CC_USE_TEST_PAT = 32, XSP3_CC_SEND_RESET_WIDTHS = 0x1000 };
enum {  /* register and region numbers for xsp3_read_reg, xsp3_bram_init */
  XSP3_CHAN_CONT = 2, XSP3_CAL_CONT = 16, XSP3_CHAN_CONT2 = 56, XSP3_REGION_REGS = 0, XSP3_REGION_RAM_QUOTIENT = 3,
  XSP3_REGION_RAM_ROI = 4 };

/* ---- [c-misc] monitoring, fan, threading ---- */
enum { XSP3_XADC_ZYNQ_TEMP = 0, XSP3_XADC_VIRTEX7_TEMP = 1, XSP3_XADC_ZYNQ_VCC_INT = 2, XSP3_XADC_ZYNQ_VCC_AUX = 3,
  XSP3_XADC_ZYNQ_VCC_BRAM = 4, XSP3_XADC_ZYNQ_VCC_PINT = 5, XSP3_XADC_ZYNQ_VCC_PAUX = 6, XSP3_XADC_ZYNQ_VCCO_DDR = 7,
  XSP3_XADC_VIRTEX7_VCC_INT = 8, XSP3_XADC_VIRTEX7_VCC_AUX = 9, XSP3_XADC_VIRTEX7_VCC_BRAM = 10 };
enum { XSP3_FAN_OFFSET_MODE = 0, XSP3_FAN_OFFSET_START = 1, XSP3_FAN_OFFSET_TEMP = 2, XSP3_FAN_OFFSET_MAX = 6,
  XSP3_FAN_OFFSET_SET_POINT = 7, XSP3_FAN_OFFSET_P_CONST = 8, XSP3_FAN_OFFSET_I_CONST = 9,
  XSP3_FAN_OFFSET_CUR_POINT = 10, XSP3_FAN_OFFSET_LOG = 11 };
enum { XSP3_MT_DISABLE_SCOPE = 1, XSP3_MT_DISABLE_MEASURE_TRIG = 2 };

/* ---- [t-enum] enumerated types ---- */
typedef enum { XspressGenError = -1, XspressGen3 = 0, XspressGen3V7 = 1, XspressGen3Mini = 2, XspressGen4 = 3 } XspressGeneration;
typedef enum { XspressReal = 0, XspressDummy3 = 1, XspressDummy3V7 = 2, XspressDummy3Mini = 3, XspressDummy4 = 4 } XspressDummy;
typedef enum { Xsp3UnlinkNone = 0, Xsp3UnlinkCreated = 1, Xsp3UnlinkAll = 2 } Xsp3Unlink;
typedef enum { Xsp3Init_None = 0, Xsp3Init_Normal = 1, Xsp3InitUDP_DisUDPRegs = 0x10000,
  Xsp3InitUDP_DisScopeSocket = 0x20000, Xsp3InitUDP_DisHistLUT = 0x40000, Xsp3InitUDP_DisHistThreads = 0x80000 } Xsp3Init;
typedef enum { Xsp3mRd_Auto = 0, Xsp3mRd_SendScalars = 1, Xsp3mRd_SendHistFrames = 2, Xsp3mRd_SendHistList = 4,
  Xsp3mRd_Passive = 256 } Xsp3mReadoutMode;
typedef enum { Xsp3ChanTypeNormal = 0, Xsp3ChanTypeUnused = 1 } Xsp3ChanType;
typedef enum { Xsp3SysLog_StartNewFile = 1, Xsp3SysLog_KeepFiles = 2, Xsp3SysLog_DisableADCTemp = 0x10 } Xsp3SysLogFlags;
typedef enum {  /* a bit mask, 4 bytes */
  Xsp3ErrFlag_Playback = 1, /* playback underrun */
  Xsp3ErrFlag_Scope = 2, /* scope overrun */
  Xsp3ErrFlag_HistFramesOverRun = 0x4, /* 0x4..0x40: Mini only */
  Xsp3ErrFlag_HistFramesMissing = 0x8, Xsp3ErrFlag_ScalarOverRun = 0x10, Xsp3ErrFlag_ScalarMissing = 0x20,
  Xsp3ErrFlag_DiagHistOverRun = 0x40, /* not severe */
  Xsp3ErrFlag_DescOverrun = 0x200, Xsp3ErrFlag_TFMismatch = 0x400, Xsp3ErrFlag_DescSofEof = 0x800,
  Xsp3ErrFlag_DescCount = 0x1000, Xsp3ErrFlag_SocketError = 0x2000, Xsp3ErrFlag_CircBuffOverRun = 0x10000,
  Xsp3ErrFlag_DescOverrunScalars = 0x20000, /* ...Scalars: Mini only */
  Xsp3ErrFlag_TFMismatchScalars = 0x40000, Xsp3ErrFlag_DescSofEofScalars = 0x80000,
  Xsp3ErrFlag_DescCountScalars = 0x100000, Xsp3ErrFlag_SocketErrorScalars = 0x200000,
  Xsp3ErrFlag_CircBuffOverRunScalars = 0x1000000 } Xsp3ErrFlag;

/* ---- [t-struct] structures ---- */
typedef struct {  /* 27 ints, 108 bytes; int index in the comments */
  int avemode, two_over_mode, enable, enb_otd_split;                            /* 0-3 */
  int disable_split, combined, scaled_thres_mode;                               /* 4-6 */
  int arm_thres, end_thres, rearm_thres, sep1, sep2, data_delay;                /* 7-12 */
  int event_time;                                                               /* 13, byte 52 */
  int over_thres_delay, over_thres_stretch, over_thres_trim;                    /* 14-16 */
  int enb_fast_otd, fast_avemode, fast_sep1, fast_align, fast_arm_thres, fast_end_thres;  /* 17-22 */
  int enb_variable_width, variable_width_delay;                                 /* 23 (byte 92), 24 */
  int enb_split_touching, enb_fast_diff2;                                       /* 25, 26 */
} Xspress3_TriggerB;
typedef struct {  /* 13 ints, 52 bytes */
  int arm_thres, end_thres, sep1, avemode, two_over_mode, enb_negative, ignore_near_glitch;
  int over_thres_servo_delay, over_thres_servo_stretch, over_thres_servo_trim;
  int use_det_reset_b, use_det_reset_c, min_width;
} Xspress3_TriggerC;
typedef struct { int state; int64_t time_frame; int markers; } Xsp3TFStatus;  /* 24; offsets 0, 8, 16 */
typedef struct {  /* 44 */
  int t_src; uint32_t fixed; int inv_f0, inv_veto, loop_io, debounce, override_debounce_other;
  uint32_t card0_a_extra, cardn_a_extra; int padding[2];
} Xsp3Timing;
typedef struct { int lhs, rhs, out_bins; } XSP3Roi;  /* 12 */
typedef struct { int trig_sel[4]; } Xsp3TriggerMux;  /* 16 */
typedef struct {  /* 72 */
  int flags;
  double processDeadTimeAllEventGradient, processDeadTimeAllEventOffset;
  double processDeadTimeInWindowOffset, processDeadTimeInWindowGradient;
  double processDeadTimeAllEventRateGradient, processDeadTimeAllEventRateOffset;
  double processDeadTimeInWindowRateOffset, processDeadTimeInWindowRateGradient;
} ChannelDTC;
typedef struct { int clk_src, flags, tp_type, adc_clk_delay, fpga_clk_delay; } ClockSetup;   /* 20 */
typedef struct {  /* 52; engineering (charge sharing) */
  int enable, coinc_mode, enb_neb_trig, enb_mask_large, override_discard, unused[8];
} Xsp3CShrControl;
typedef struct {  /* 64 */
  char test_data_source, real_data_source, data_mux, inl_corr, reset_detector, reset_corr;
  char glitch_detect, glitch_pad, trigger_b, trigger_c, trigger_extra, calibrator;
  char neighbour_events, servo_base, servo_details, run_ave, lead_tail_corr, output_format;
  char format_details_a, format_details_b, global_reset, timing_source, timing_generator;
  char scope_mode, farm_mode, soft_scalers, ack_eof;
  XspressGeneration generation;             /* byte 28 */
  int num_scope_dma, num_playback_streams, max_real_dma_stream, min_nbits_eng, nbits_frac_be;
  int xsp3m_send_mode;
  double reg_clock_period;
} Xspress3_features;

/* ---- [f-conn] connection and identity ---- */
int xsp3_config(int ncards, int num_tf, char *baseIPaddress, int basePort, char *baseMACaddress, int nchan, int createmodule,
      char *modname, int debug, int card_index);
int xsp3_config_init(int ncards, int num_tf, char *baseIPaddress, int basePort, char *baseMACaddress, int num_chan,
      int create_module, char *modname, int debug, int card_index, Xsp3Init do_init, Xsp3mReadoutMode xsp3m_readout,
      XspressDummy dummy_system);
int xsp3_close(int path);
char *xsp3_get_error_message(void);
int xsp3_get_revision(int path);
XspressGeneration xsp3_get_generation(int path, int card);
int xsp3_get_num_chan(int path);
int xsp3_get_max_num_chan(int path);
int xsp3_get_num_cards(int path);
int xsp3_get_chans_per_card(int path);
int xsp3_get_num_chan_used(int path, int card);
int xsp3_get_bins_per_mca(int path);
double xsp3_get_clock_period(int path, int card);
int xsp3_has_itfg(int path, int card);
int xsp3_resolve_path(int path, int chan, int *thisPath, int *chanIdx);
int xsp3_is_xsp3m_plus(int path);  /* INFERRED, not in N */

/* ---- [f-set] clocks, settings, memory ---- */
int xsp3_clocks_setup(int path, int card, int clk_src, int flags, int tp_type);
int xsp3_restore_settings(int path, char *dir_name, int force_mismatch);
int xsp3_restore_settings_and_clock(int path, char *dir_name, int force_mismatch);
int xsp3_save_settings(int path, char *dir_name);
int xsp3_dma_config_memory(int path, int card, int layout);
int xsp3_dma_get_memory_config(int path, int card);
int xsp3_get_disable_threading(int path);
int xsp3_set_disable_threading(int path, int flags);
int xsp3_set_sync_mode(int path, int sync_mode, int enb_global_reset, int gr_card);

/* ---- [f-fmt] format, regions, windows, channel control ---- */
int xsp3_format_run(int path, int chan, int aux1_mode, int aux1_thres, int aux2_cont, int flags, int aux2_mode,
      int nbits_eng);
int xsp3_format_sub_frames(int path, int chan, int just_good, int just_good_thres, int flags, int nbits_eng,
      int num_sub_frames, int ts_divide);
int xsp3_get_format(int path, int chan, int *nbins_eng, int *nbins_aux1, int *nbins_aux2, int *nbins_tf);
int xsp3_read_format(int path, int chan, int diag_hist, int *num_used_chanP, int *nbins_eng, int *nbins_aux1, int *nbins_aux2,
      int *nbins_tf);
int xsp3_init_roi(int path, int chan);
int xsp3_set_roi(int path, int chan, int num_roi, XSP3Roi *roi);
int xsp3_set_window(int path, int chan, int win, int low, int high);
int xsp3_get_window(int path, int chan, int win, uint32_t *low, uint32_t *high);
int xsp3_set_good_thres(int path, int chan, uint32_t good_thres);
int xsp3_get_good_thres(int path, int chan, uint32_t *good_thres);
int xsp3_get_trigger_b(int path, int chan, Xspress3_TriggerB *trig_b);
int xsp3_set_trigger_b_ringing(int path, int chan, double scale_a, int delay_a, double scale_b, int delay_b);
int xsp3_get_chan_cont(int path, int chan, uint32_t *chan_cont);
int xsp3_set_chan_cont(int path, int chan, uint32_t chan_cont);
int xsp3_set_chan_cont2(int path, int chan, uint32_t chan_cont2);
int xsp3_read_reg(int path, int chan, int region, int offset, int size, uint32_t *value);
int xsp3_bram_init(int path, int chan, int region, double scaling);
int xsp3_read_marker_chan(int path, int chan, int reg, int size, uint32_t *value);  /* INFERRED, not in N */
int xsp3_setup_marker_chan(int path, int chan, uint32_t chan_cont, int rise, int fall, int sel);  /* INFERRED, not in N */

/* ---- [f-time] timing ---- */
int xsp3_set_run_flags(int path, int flags);
int xsp3_get_run_flags(int path);
int xsp3_set_glob_timeA(int path, int card, uint32_t time);
int xsp3_get_glob_timeA(int path, int card, uint32_t *time);
int xsp3_set_glob_timeFixed(int path, int card, uint32_t time);
int xsp3_get_glob_timeFixed(int path, int card, uint32_t *time);
int xsp3_get_glob_time_statA(int path, int card, uint32_t *time);
int xsp3_set_timing(int path, Xsp3Timing *setup);
int xsp3_itfg_setup(int path, int card, int num_tf, uint32_t col_time, int trig_mode, int gap_mode);
int xsp3_itfg_setup2(int path, int card, int num_tf, uint32_t col_time, int trig_mode, int gap_mode, int acq_in_pause,
      int marker_period, int marker_frame);
int xsp3_itfg_get_setup(int path, int card, int *num_tf, uint32_t *col_time, int *trig_mode, int *gap_mode);
int xsp3_itfg_stop(int path, int card);
int xsp3_itfg_start(int path, int card);
int xsp3_set_alt_ttl_out(int path, int card, int alt_ttl, int force);
int xsp3_set_trig_in_term(int path, int card, int flags);
int xsp3_set_trig_out_term(int path, int card, int flags);
int xsp3_get_trig_in_term(int path, int card, int *flags);
int xsp3_get_trig_out_term(int path, int card, int *flags);
int xsp3_set_glob_trigger_select(int path, int card, Xsp3TriggerMux *trig_mux);

/* ---- [f-run] run control ---- */
int xsp3_histogram_start(int path, int card);
int xsp3_histogram_arm(int path, int card);
int xsp3_histogram_continue(int path, int card);
int xsp3_histogram_pause(int path, int card);
int xsp3_histogram_stop(int path, int card);
int xsp3_histogram_clear(int path, int first_chan, int num_chan, int first_frame, int num_frames);
int xsp3_histogram_is_any_busy(int path);
int xsp3_system_start_count_enb(int path, int card, int count_enb, int pb_num_t, int scope_num_t);

/* ---- [f-prog] progress and circular buffer ---- */
int xsp3_scaler_check_progress(int path);
int64_t xsp3_scaler_check_progress_details(int path, Xsp3ErrFlag *flagsP, int quiet, int64_t *furthest_frame);
int xsp3_scaler_check_desc(int path, int card);
int xsp3_scaler_get_num_tf(int path);
int xsp3_histogram_circ_ack(int path, unsigned chan, unsigned tf, unsigned num_chan, unsigned num_tf);
int64_t xsp3_histogram_get_circ_overrun(int path, int chan, int64_t *firstP);
int xsp3_histogram_get_tf_status(int path, int chan, unsigned tf, Xsp3TFStatus *tf_status);
int xsp3_histogram_get_tf_status_block(int path, int chan, unsigned tf, unsigned ntf, Xsp3TFStatus *tf_status);
int xsp3_histogram_get_tf_markers(int path, int chan, unsigned tf, unsigned num_tf, int *markers);

/* ---- [f-read] readout ---- */
int xsp3_histogram_read4d(int path, uint32_t *buffer, unsigned eng, unsigned aux, unsigned chan, unsigned tf,
      unsigned num_eng, unsigned num_aux, unsigned num_chan, unsigned num_tf);
int xsp3_histogram_read3d(int path, uint32_t *buffer, unsigned x, unsigned y, unsigned t, unsigned dx, unsigned dy,
      unsigned dt);
int xsp3_histogram_read_chan(int path, uint32_t *buffer, unsigned chan, unsigned eng, unsigned aux, unsigned tf,
      unsigned num_eng, unsigned num_aux, unsigned num_tf);
int xsp3_calib_histogram_read3d(int path, uint32_t *buffer, unsigned x, unsigned y, unsigned t, unsigned dx, unsigned dy,
      unsigned dt, int calib);
int xsp3_diag_histogram_read3d(int path, uint32_t *buffer, unsigned x, unsigned y, unsigned t, unsigned dx, unsigned dy,
      unsigned dt);
int xsp3_scaler_read(int path, uint32_t *dest, unsigned scaler, unsigned chan, unsigned t, unsigned n_scalers,
      unsigned n_chan, unsigned dt);
int xsp3_scaler_read_sf(int path, uint32_t *dest, unsigned scaler, unsigned first_sf, unsigned chan, unsigned t,
      unsigned n_scalers, unsigned n_sf, unsigned n_chan, unsigned dt);

/* ---- [f-dtc] dead-time correction ---- */
int xsp3_setDeadtimeCorrectionParameters(int path, int chan, int flags, double processDeadTimeAllEventGradient,
      double processDeadTimeAllEventOffset, double processDeadTimeInWindowOffset, double processDeadTimeInWindowGradient);
int xsp3_getDeadtimeCorrectionParameters(int path, int chan, int *flags, double *processDeadTimeAllEventGradient,
      double *processDeadTimeAllEventOffset, double *processDeadTimeInWindowOffset, double *processDeadTimeInWindowGradient);
int xsp3_setDeadtimeCorrectionParameters2(int path, int chan, int flags, double processDeadTimeAllEventOffset,
      double processDeadTimeAllEventGradient, double processDeadTimeAllEventRateOffset,
      double processDeadTimeAllEventRateGradient, double processDeadTimeInWindowOffset,
      double processDeadTimeInWindowGradient, double processDeadTimeInWindowRateOffset,
      double processDeadTimeInWindowRateGradient);
int xsp3_getDeadtimeCorrectionParameters2(int path, int chan, int *flags, double *processDeadTimeAllEventOffset,
      double *processDeadTimeAllEventGradient, double *processDeadTimeAllEventRateOffset,
      double *processDeadTimeAllEventRateGradient, double *processDeadTimeInWindowOffset,
      double *processDeadTimeInWindowGradient, double *processDeadTimeInWindowRateOffset,
      double *processDeadTimeInWindowRateGradient);
int xsp3_getDeadtimeCorrectionFlags(int path, int chan, int *flags);
int xsp3_setDeadtimeCalculationEnergy(int path, double energy);
double xsp3_getDeadtimeCalculationEnergy(int path);
int xsp3_calculateDeadtimeCorrectionFactors(int path, uint32_t *hardwareScalerReadings, double *dtcFactors, double *inpEst,
      int num_tf, int first_chan, int num_chan);
int xsp3_calculateDeadtimeCorrectionFactors_sf(int path, uint32_t *hardwareScalerReadings, double *dtcFactors, double *inpEst,
      int num_tf, int first_chan, int num_chan, int num_sub_frames);
int xsp3_scaler_dtc_read(int path, double *dest, unsigned scaler, unsigned chan, unsigned t, unsigned n_scalers,
      unsigned n_chan, unsigned dt);
int xsp3_scaler_dtc_read_sf(int path, double *dest, unsigned scaler, unsigned first_sf, unsigned chan, unsigned t,
      unsigned n_scalers, unsigned n_sf, unsigned n_chan, unsigned dt);
int xsp3_hist_dtc_read4d(int path, double *hist_buff, double *scal_buff, unsigned eng, unsigned aux, unsigned chan,
      unsigned tf, unsigned num_eng, unsigned num_aux, unsigned num_chan, unsigned num_tf);
int xsp3_hist_dtc_read4d_sf(int path, double *hist_buff, double *scal_buff, unsigned eng, unsigned aux, unsigned chan,
      unsigned tf, unsigned num_eng, unsigned num_aux, unsigned num_chan, unsigned num_tf);
int xsp3_hist_dtc_read3d(int path, double *hist_buff, unsigned eng, unsigned y, unsigned tf, unsigned num_eng, unsigned dy,
      unsigned num_tf);

/* ---- [f-mon] temperatures, fans, logging ---- */
int xsp3_i2c_read_adc_temp(int path, int card, float *temp);
int xsp3_i2c_read_fem_temp(int path, int card, float *temp);
int xsp3_i2c_read_mid_plane_temp(int path, float *temp);
int xsp3_i2c_set_adc_temp_limit(int path, int card, int critTemp);
int xsp3_read_xadc(int path, int card, int first, int num, uint32_t *data);
int xsp3_write_fan_cont(int path, int card, int offset, int size, uint32_t *value);
int xsp3_read_fan_cont(int path, int card, int offset, int size, uint32_t *value);
int xsp3_sys_log_start(int path, char *fname, int period, int max_count, Xsp3SysLogFlags flags);
int xsp3_sys_log_continue(int path);
int xsp3_sys_log_stop(int path);
int xsp3_sys_log_pause(int path);

/* ---- [f-pb] playback and scope ---- */
int xsp3_playback_load_x3(int path, int card, char *filename, int src[16], int file_streams, int str0dig, int smooth_join,
      int enb_higher_chan, int no_retry, int xspress4_dig, int glob_reset);
int xsp3_write_playback_data(int path, int card, uint32_t *buffer, size_t nbytes, int no_retry);
int xsp3_scope_settings_from_mod(int path);
int xsp3_scope_wait(int path, int card);
int xsp3_read_scope_data(int path, int card);

/* ---- [f-opt] optional (P3): cheap to provide, used outside the four clients ---- */
typedef struct Xsp3GenDataType Xsp3GenDataType;   /* opaque: 120 bytes in N, members not documented here */
int xsp3_get_features(int path, int card, Xspress3_features *features);
int xsp3_get_num_tf(int path);
int xsp3_has_roi(int path, int chan);
int xsp3_measure_clock_frequency(int path, int card);
int xsp3_histogram_is_busy(int path, int chan);
int xsp3_histogram_get_dropped(int path, int chan);
int xsp3_set_trigger_b(int path, int detector, Xspress3_TriggerB *trig_b);
int xsp3_get_sync_mode(int path, int *sync_mode, int *enb_global_reset, int *gr_card);
int xsp3_get_glob_trigger_select(int path, int card, Xsp3TriggerMux *trig_mux);
int xsp3_has_get_data_ptr(int path);
uint32_t *xsp3_histogram_get_data_ptr(int path, unsigned eng, unsigned aux, unsigned chan, unsigned tf);
int xsp3_histogram_set_new_frame_callback(int path, int chan, void (*new_frame)(int path, int chan, int tf, int64_t tf_ext,
      uint32_t *buffer, void *user_ptr), void *user_ptr, int late);
int xsp3_playback_generate(int path, int card, Xsp3GenDataType *gd_type);
int xsp3_playback_get_num_t(int path, int card);
int xsp3_playback_generate_est_counts(int path, int chan, unsigned int tf, Xsp3GenDataType *gd_type, int64_t ts1, int64_t ts2,
      int *est_minP, double *max_rateP);
int xsp3m_histogram_read_frames(int path, uint32_t *buffer, unsigned eng, unsigned chan, unsigned tf, unsigned num_eng,
      unsigned num_chan, unsigned num_tf);
int xsp3m_scaler_read(int path, uint32_t *dest, unsigned scaler, unsigned chan, unsigned t, unsigned n_scalers,
      unsigned n_chan, unsigned dt);
int xsp3m_set_readout_mode(int path, int card, uint32_t readout_mode);
int xsp3m_get_readout_mode(int path, int card, uint32_t *readout_mode);
int xsp3_set_user_ts_sync_mode(int path, int card, int mode);
/* ---- [end] ---- */
