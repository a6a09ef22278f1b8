"""Writes op_values.txt: what PyTorch computes in double for small graphs. Run: op_values.py OUT

Leaf k, element i holds ((37 i + 11 k + 5) mod 23 - 11) / 4 where its kind is f, the same remainder + 1 over 25
where it is u or b (a buffer), (2 i + 1) mod 3 where it is a label (l), unless it is given. Gradients are of
sum(c y) with c's element i ((13 i + 1) mod 7 - 3) / 2. Two samples."""
import sys
import torch, torch.nn.functional as F
torch.set_default_dtype(torch.float64)
import math


def data(k, n): return torch.tensor([((i*37+k*11+5)%23-11)*0.25 for i in range(n)])
def unit(k, n): return torch.tensor([((i*37+k*11+5)%23+1)*0.04 for i in range(n)])
def lab(n, m=3): return torch.tensor([(i*2+1)%m for i in range(n)])
cases=[]
B=2


def case(name, leaves, line, fn, training=False, buffers=None, explicit=None, by='01234'):
    """leaves: list of (kind, shape, batched); kind f,u(nit),l(label m),b(uffer: unit).
    by: the leaves whose gradients are asked for."""
    text=[]; ts=[]
    for k,(kind,shape,batched) in enumerate(leaves):
        n=math.prod(shape)*(B if batched else 1)
        full=([B] if batched else [])+list(shape)
        sh='['+','.join(map(str,shape))+']'
        if explicit and k in explicit: v=torch.tensor(explicit[k],dtype=torch.get_default_dtype()); assert v.numel()==n; v=v.long() if kind=='l' else v
        elif kind=='f': v=data(k,n)
        elif kind in 'ub': v=unit(k,n)
        elif kind=='l': v=lab(n)
        v=v.reshape(full)
        if kind in 'fu' and str(k) in by: v.requires_grad_(True)
        ts.append(v)
        if kind=='b': text.append(f'%{k} = buffer {{name=x{k}, shape={sh}, init=default}}')
        elif batched:
            el='i32' if kind=='l' else 'f32'
            text.append(f'%{k} = input {{name=x{k}, shape={sh}, elem="{el}"}}')
        else: text.append(f'%{k} = param {{name=x{k}, shape={sh}, init=default}}')
    y=fn(*ts)
    extra=[]
    if isinstance(y,tuple): y,extra=y[0],list(y[1:])
    c=torch.tensor([((i*13+1)%7-3)*0.5 for i in range(y.numel())]).reshape(y.shape)
    grads=[None]*len(ts)
    fl=[t for t in ts if t.requires_grad]
    if y.requires_grad:
        gs=torch.autograd.grad((y*c).sum(), fl, allow_unused=True)
        it=iter(gs)
        grads=[ (next(it) if t.requires_grad else None) for t in ts]
    kinds=''.join(k for k,_,_ in leaves)
    cases.append((name,kinds,text,line,training,y,grads,extra,explicit))
f=lambda *s: ('f',s,True)
p=lambda *s: ('f',s,False)
u=lambda *s: ('u',s,True)
l=lambda *s: ('l',s,True)
b=lambda *s: ('b',s,False)
# convolution
case('conv2d stride padding', [f(2,5,4),p(3,2,3,2),p(3)],'conv2d(%0, %1, %2) {out=3, kernel=[3,2], stride=[2,1], padding=[1,0]}',lambda x,w,b_:F.conv2d(x,w,b_,stride=(2,1),padding=(1,0)))
case('conv2d dilation groups', [f(4,5,5),p(4,2,2,2),p(4)],'conv2d(%0, %1, %2) {out=4, kernel=[2,2], dilation=[2,3], padding=[0,1], groups=2}',lambda x,w,b_:F.conv2d(x,w,b_,dilation=(2,3),padding=(0,1),groups=2))
case('conv2d same, even kernel', [f(1,3,4),p(2,1,2,4)],'conv2d(%0, %1, _) {out=2, kernel=[2,4], padding=same, bias=false}',lambda x,w:F.conv2d(x,w,None,padding='same'))
case('conv2d same, dilated', [f(1,4,4),p(1,1,3,2)],'conv2d(%0, %1, _) {out=1, kernel=[3,2], dilation=[1,3], padding=same, bias=false}',lambda x,w:F.conv2d(x,w,None,padding='same',dilation=(1,3)))
case('conv1d', [f(4,7),p(6,2,3),p(6)],'conv1d(%0, %1, %2) {out=6, kernel=3, stride=2, padding=[1,1], dilation=2, groups=2}',lambda x,w,b_:F.conv1d(x,w,b_,stride=2,padding=1,dilation=2,groups=2))
case('conv1d same', [f(2,5),p(3,2,4)],'conv1d(%0, %1, _) {out=3, kernel=4, padding=same, bias=false}',lambda x,w:F.conv1d(x,w,None,padding='same'))
case('conv_transpose2d', [f(2,3,2),p(2,3,3,2),p(3)],'conv_transpose2d(%0, %1, %2) {out=3, kernel=[3,2], stride=[2,1], padding=[1,0], output_padding=[1,0]}',lambda x,w,b_:F.conv_transpose2d(x,w,b_,stride=(2,1),padding=(1,0),output_padding=(1,0)))
case('conv_transpose2d groups', [f(4,2,3),p(4,2,2,3)],'conv_transpose2d(%0, %1, _) {out=4, kernel=[2,3], stride=[3,2], groups=2, bias=false}',lambda x,w:F.conv_transpose2d(x,w,None,stride=(3,2),groups=2))
# pooling
case('max_pool2d ceil', [f(1,5,5)],'max_pool2d(%0) {kernel=[2,2], ceil_mode=true}',lambda x:F.max_pool2d(x,2,ceil_mode=True))
case('max_pool2d ceil padding', [f(1,5,6)],'max_pool2d(%0) {kernel=[3,3], stride=[3,2], padding=[1,1], ceil_mode=true}',lambda x:F.max_pool2d(x,3,(3,2),1,ceil_mode=True))
case('max_pool2d last window in the padding', [f(1,4,4)],'max_pool2d(%0) {kernel=[2,2], stride=[3,3], padding=[1,1], ceil_mode=true}',lambda x:F.max_pool2d(x,2,3,1,ceil_mode=True))
case('max_pool2d dilation', [f(2,6,5)],'max_pool2d(%0) {kernel=[2,3], stride=[2,1], padding=[0,1], dilation=[3,2]}',lambda x:F.max_pool2d(x,(2,3),(2,1),(0,1),(3,2)))
tied=[2,2,2,0,1,1,0,1,3,1,3,3,0,0,2,0, 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]
case('max_pool2d ties', [f(1,4,4)],'max_pool2d(%0) {kernel=[2,2], stride=[1,1]}',lambda x:F.max_pool2d(x,2,1),explicit={0:tied})
case('avg_pool2d ceil padding', [f(1,5,6)],'avg_pool2d(%0) {kernel=[3,3], stride=[3,2], padding=[1,1], ceil_mode=true}',lambda x:F.avg_pool2d(x,3,(3,2),1,ceil_mode=True))
case('avg_pool2d without the padding', [f(1,5,6)],'avg_pool2d(%0) {kernel=[3,2], stride=[2,2], padding=[1,1], ceil_mode=true, count_include_pad=false}',lambda x:F.avg_pool2d(x,(3,2),2,1,ceil_mode=True,count_include_pad=False))
case('avg_pool2d window past the end', [f(1,5,5)],'avg_pool2d(%0) {kernel=[2,4], stride=[2,3], ceil_mode=true}',lambda x:F.avg_pool2d(x,(2,4),(2,3),ceil_mode=True))
case('adaptive_avg_pool2d', [f(1,5,7)],'adaptive_avg_pool2d(%0) {out=[3,2]}',lambda x:F.adaptive_avg_pool2d(x,(3,2)))
case('adaptive_avg_pool2d larger', [f(1,2,3)],'adaptive_avg_pool2d(%0) {out=[3,4]}',lambda x:F.adaptive_avg_pool2d(x,(3,4)))
case('global_avg_pool', [f(3,2,2)],'global_avg_pool(%0)',lambda x:x.mean((2,3)))
case('adaptive_max_pool2d', [f(1,5,7)],'adaptive_max_pool2d(%0) {out=[3,2]}',lambda x:F.adaptive_max_pool2d(x,(3,2)))
case('adaptive_max_pool2d larger', [f(1,2,3)],'adaptive_max_pool2d(%0) {out=[3,4]}',lambda x:F.adaptive_max_pool2d(x,(3,4)))
case('adaptive_max_pool2d ties', [f(1,4,4)],'adaptive_max_pool2d(%0) {out=[3,3]}',lambda x:F.adaptive_max_pool2d(x,3),explicit={0:tied})
case('max_pool1d', [f(2,9)],'max_pool1d(%0) {kernel=3, stride=2, padding=1, dilation=2, ceil_mode=true}',lambda x:F.max_pool1d(x,3,2,1,2,True))
case('avg_pool1d', [f(2,8)],'avg_pool1d(%0) {kernel=3, stride=2, padding=1, ceil_mode=true}',lambda x:F.avg_pool1d(x,3,2,1,True))
case('avg_pool1d without the padding', [f(2,8)],'avg_pool1d(%0) {kernel=3, stride=2, padding=1, count_include_pad=false}',lambda x:F.avg_pool1d(x,3,2,1,False,False))
# activations, with their joints
grid=[-30,-6,-3,-2,-1,-0.5,0,0.5,1,2,3,6,30,0.1]
case('prelu',[f(7),p(1)],'prelu(%0, %1)',F.prelu,explicit={0:grid,1:[0.3]})
def act(name,line,fn): case(name,[f(7)],line,fn,explicit={0:grid})
act('relu','relu(%0)',F.relu)
act('relu6','relu6(%0)',F.relu6)
act('leaky_relu','leaky_relu(%0)',F.leaky_relu)
act('rrelu','rrelu(%0) {lower=0.125, upper=0.3333333}',lambda x:F.rrelu(x,0.125,0.3333333,False))
act('elu','elu(%0) {alpha=1.5}',lambda x:F.elu(x,1.5))
act('selu','selu(%0)',F.selu)
act('gelu','gelu(%0)',F.gelu)
act('gelu tanh','gelu(%0) {approximate="tanh"}',lambda x:F.gelu(x,approximate='tanh'))
act('silu','silu(%0)',F.silu)
act('sigmoid','sigmoid(%0)',torch.sigmoid)
act('hard_sigmoid','hard_sigmoid(%0)',lambda x:F.relu6(x+3)/6) # F.hardsigmoid's gradient has a float 1/6
act('hard_swish','hard_swish(%0)',F.hardswish)
act('tanh','tanh(%0)',torch.tanh)
act('softplus','softplus(%0)',lambda x:torch.logaddexp(x,torch.zeros_like(x)))
act('abs','abs(%0)',torch.abs)
act('sign','sign(%0)',torch.sign)
act('clamp','clamp(%0) {lo=-1, hi=2}',lambda x:x.clamp(-1,2))
act('softmax','softmax(%0)',lambda x:F.softmax(x,-1))
act('log_softmax','log_softmax(%0)',lambda x:F.log_softmax(x,-1))
act('pow 3','pow(%0) {exponent=3}',lambda x:x**3)
case('minimum',[f(3,4),p(4)],'minimum(%0, %1)',torch.minimum)
case('maximum',[f(3,4),p(4)],'maximum(%0, %1)',torch.maximum,explicit={1:[0.25,0.5,-0.25,1]})
case('softmax dim 0',[f(3,2)],'softmax(%0) {dim=0}',lambda x:F.softmax(x,1))
# reductions
tie=[1,3,3,2,3,0, 5,5,5,5,5,5]
case('max with ties',[f(2,3)],'max(%0) {dim=[1], keepdim=true}',lambda x:x.amax(2,keepdim=True),explicit={0:tie})
case('min with ties',[f(2,3)],'min(%0)',lambda x:x.amin((1,2)),explicit={0:tie})
case('var',[f(2,3)],'var(%0) {dim=[1]}',lambda x:x.var(2,unbiased=False))
case('var unbiased',[f(2,3)],'var(%0) {unbiased=true}',lambda x:x.var((1,2)))
case('mean',[f(2,3)],'mean(%0) {dim=[0], keepdim=true}',lambda x:x.mean(1,keepdim=True))
# linear algebra and rows
case('linear',[f(2,3),p(4,3),p(4)],'linear(%0, %1, %2) {out=4}',F.linear)
case('matmul stacked',[f(2,1,2,3),p(3,3,2)],'matmul(%0, %1)',torch.matmul)
case('matmul matrix by stack',[p(2,3),f(2,3,2)],'matmul(%0, %1)',torch.matmul)
case('matmul vector by matrix',[f(3),p(3,2)],'matmul(%0, %1)',torch.matmul)
case('embedding',[l(4),p(3,2)],'embedding(%0, %1) {count=3, width=2}',F.embedding)
# losses, one number a sample
red=lambda t: t.flatten(1).mean(1) if t.dim()>1 else t
case('cross_entropy',[f(3),l()],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x,t,reduction='none'))
case('cross_entropy positions',[f(4,3),l(4)],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x.transpose(1,2),t,reduction='none').mean(1))
case('cross_entropy dim 0, smoothed',[f(3,4),l(4)],'cross_entropy(%0, %1) {dim=0, label_smoothing=0.1}',lambda x,t:F.cross_entropy(x,t,reduction='none',label_smoothing=0.1).mean(1))
case('cross_entropy far apart',[f(3),l()],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x,t,reduction='none'),explicit={0:[1000,-1000,0,500,800,-900]})
# at infinities, zeros and ties
inf=math.inf
one_impossible=[1,-inf,0.5, -inf,2,2]
case('cross_entropy impossible class',[f(3),l()],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x,t,reduction='none'),explicit={0:one_impossible,1:[0,2]})
case('cross_entropy impossible label',[f(3),l()],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x,t,reduction='none'),explicit={0:one_impossible,1:[1,0]})
case('cross_entropy impossible class, smoothed',[f(3),l()],'cross_entropy(%0, %1) {label_smoothing=0.25}',lambda x,t:F.cross_entropy(x,t,reduction='none',label_smoothing=0.25),explicit={0:one_impossible,1:[0,2]})
case('cross_entropy infinite class',[f(3),l()],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x,t,reduction='none'),explicit={0:[1,inf,0, -inf,-inf,-inf]})
case('cross_entropy equal classes',[f(3),l()],'cross_entropy(%0, %1)',lambda x,t:F.cross_entropy(x,t,reduction='none'),explicit={0:[0,0,0,7,7,7]})
case('nll_loss impossible class',[f(3),l()],'nll_loss(%0, %1)',lambda x,t:F.nll_loss(x,t,reduction='none'),explicit={0:one_impossible,1:[0,0]})
case('mse at infinity',[f(2),f(2)],'mse(%0, %1)',lambda a,t:red(F.mse_loss(a,t,reduction='none')),explicit={0:[inf,1,2,2],1:[0,1,2,-inf]})
case('mae at infinity',[f(2),f(2)],'mae(%0, %1)',lambda a,t:red(F.l1_loss(a,t,reduction='none')),explicit={0:[inf,1,2,2],1:[0,1,2,-inf]})
case('huber at infinity',[f(2),f(2)],'huber(%0, %1) {delta=1.5}',lambda a,t:red(F.huber_loss(a,t,reduction='none',delta=1.5)),explicit={0:[inf,1.5,2,2],1:[0,0,3.5,-inf]})
case('bce at the ends',[f(4),f(4)],'bce(%0, %1)',lambda a,t:red(F.binary_cross_entropy(a,t,reduction='none')),explicit={0:[0,1,0,1, 0.5,1,0,1],1:[0,1,1,0, 1,0.5,0.5,1]},by='1') # by p it is not PyTorch's: see certain_probabilities
case('bce_with_logits at infinity',[f(4),f(4)],'bce_with_logits(%0, %1)',lambda a,t:red(F.binary_cross_entropy_with_logits(a,t,reduction='none')),explicit={0:[inf,-inf,0,1, inf,2,-inf,0],1:[1,0,0,1, 0.5,1,0.5,1]})
case('kl_div impossible class',[f(3),f(3)],'kl_div(%0, %1)',lambda a,t:F.kl_div(a,t,reduction='none').sum(1),explicit={0:[-inf,-1,-0.5, -inf,-1,-2],1:[0,0.5,0.5, 0.25,0.75,0]},by='0')
ends=[-inf,inf,0,-0.0,1e300,-1e300,1e-300, -inf,inf,3,-3,1,-1,6]
def ended(name,line,fn,points): case(name+' at the ends',[f(7)],line,fn,explicit={0:points})
for name,line,fn in [('relu','relu(%0)',F.relu),('relu6','relu6(%0)',F.relu6),('leaky_relu','leaky_relu(%0)',F.leaky_relu),('elu','elu(%0)',F.elu),('selu','selu(%0)',F.selu),('gelu','gelu(%0)',F.gelu),('gelu tanh','gelu(%0) {approximate="tanh"}',lambda x:F.gelu(x,approximate='tanh')),('silu','silu(%0)',F.silu),('sigmoid','sigmoid(%0)',torch.sigmoid),('hard_sigmoid','hard_sigmoid(%0)',lambda x:F.relu6(x+3)/6),('tanh','tanh(%0)',torch.tanh),('softplus','softplus(%0)',F.softplus),('abs','abs(%0)',torch.abs),('sign','sign(%0)',torch.sign),('clamp','clamp(%0) {lo=-1, hi=2}',lambda x:x.clamp(-1,2)),('square','square(%0)',torch.square),('exp','exp(%0)',torch.exp),('log','log(%0)',torch.log),('sqrt','sqrt(%0)',torch.sqrt),('rsqrt','rsqrt(%0)',torch.rsqrt),('pow 2','pow(%0) {exponent=2}',lambda x:x**2),('pow 3','pow(%0) {exponent=3}',lambda x:x**3),('pow 0','pow(%0) {exponent=0}',lambda x:x**0),('pow -1','pow(%0) {exponent=-1}',lambda x:x**-1)]:
    ended(name,line,fn,ends)
up=[-3 if x==-inf else x for x in ends] # hard_swish and PyTorch's broken powers are no numbers at -inf
ended('hard_swish','hard_swish(%0)',F.hardswish,up)
ended('pow 1.5','pow(%0) {exponent=1.5}',lambda x:x**1.5,up)
case('softmax impossible class',[f(3)],'softmax(%0)',lambda x:F.softmax(x,-1),explicit={0:one_impossible})
case('log_softmax impossible class',[f(3)],'log_softmax(%0)',lambda x:F.log_softmax(x,-1),explicit={0:one_impossible})
case('minimum at ties',[f(4),f(4)],'minimum(%0, %1)',torch.minimum,explicit={0:[1,inf,-inf,0,1,inf,2,-inf],1:[1,inf,0,-inf,2,1,2,-inf]})
case('maximum at ties',[f(4),f(4)],'maximum(%0, %1)',torch.maximum,explicit={0:[1,inf,-inf,0,1,inf,2,-inf],1:[1,inf,0,-inf,2,1,2,-inf]})
case('max at infinity',[f(2,3)],'max(%0) {dim=[1]}',lambda x:x.amax(2),explicit={0:[-inf,-inf,-inf,inf,1,inf,0,-inf,0,1,2,inf]})
case('min at infinity',[f(2,3)],'min(%0) {dim=[1]}',lambda x:x.amin(2),explicit={0:[-inf,-inf,-inf,inf,1,inf,0,-inf,0,1,2,inf]})
case('max_pool2d at infinity',[f(1,3,3)],'max_pool2d(%0) {kernel=[2,2], stride=[1,1], padding=[1,1]}',lambda x:F.max_pool2d(x,2,1,1),explicit={0:[-inf,-inf,-inf,-inf,1,inf,0,-inf,inf, 0,0,0,0,0,0,0,0,0]})
case('sum at infinity',[f(2)],'sum(%0)',lambda x:x.sum(1),explicit={0:[inf,1,inf,-inf]})
case('mean at infinity',[f(2)],'mean(%0)',lambda x:x.mean(1),explicit={0:[inf,1,inf,-inf]})
case('var of equals',[f(3)],'var(%0)',lambda x:x.var(1,unbiased=False),explicit={0:[2,2,2,0,0,0]})
case('layer_norm of equals',[f(3),p(3),p(3)],'layer_norm(%0, %1, %2)',lambda x,w,b_:F.layer_norm(x,(3,),w,b_),explicit={0:[2,2,2,0,0,0]})
case('group_norm of equals',[f(4,2),p(4),p(4)],'group_norm(%0, %1, %2) {groups=2}',lambda x,w,b_:F.group_norm(x,2,w,b_),explicit={0:[2]*8+[0]*8})
case('prelu at the ends',[f(7),p(1)],'prelu(%0, %1)',F.prelu,explicit={0:ends,1:[0.25]})
case('prelu of slope 0 at the ends',[f(7),p(1)],'prelu(%0, %1)',F.prelu,explicit={0:ends,1:[0]})
case('nll_loss',[f(3),l()],'nll_loss(%0, %1)',lambda x,t:F.nll_loss(x,t,reduction='none'))
case('nll_loss positions',[f(4,3),l(4)],'nll_loss(%0, %1)',lambda x,t:F.nll_loss(x.transpose(1,2),t,reduction='none').mean(1))
def top(k): return lambda x,t:(x.topk(k,-1)[1]==t.unsqueeze(-1)).any(-1).double().flatten(1).mean(1) if t.dim()>1 else (x.topk(k,-1)[1]==t.unsqueeze(-1)).any(-1).double()
case('top_k',[f(3),l()],'top_k(%0, %1) {k=2}',top(2))
case('top_k positions',[f(4,3),l(4)],'top_k(%0, %1) {k=1}',top(1))
case('mse',[f(4),f(4)],'mse(%0, %1)',lambda a,t:red((a-t)**2))
case('sse',[f(4),f(4)],'sse(%0, %1)',lambda a,t:((a-t)**2).sum(1))
case('mae',[f(4),f(4)],'mae(%0, %1)',lambda a,t:red(F.l1_loss(a,t,reduction='none')))
case('huber',[f(6),f(6)],'huber(%0, %1) {delta=1.5}',lambda a,t:red(F.huber_loss(a,t,reduction='none',delta=1.5)))
case('bce',[u(4),u(4)],'bce(%0, %1)',lambda a,t:red(F.binary_cross_entropy(a,t,reduction='none')))
case('bce_with_logits',[f(4),u(4)],'bce_with_logits(%0, %1)',lambda a,t:red(F.binary_cross_entropy_with_logits(a,t,reduction='none')),explicit={0:[-80,-2,0,1, 0.5,3,40,90]})
case('kl_div',[f(4),u(4)],'kl_div(%0, %1)',lambda a,t:F.kl_div(a,t,reduction='none').sum(1))
# normalisation
def bn(tr):
    def g(x,w,b_,m,v):
        m=m.clone();v=v.clone()
        y=F.batch_norm(x,m,v,w,b_,tr,0.1,1e-5)
        return (y,m,v) if tr else y
    return g
case('batch_norm training',[f(3,2,2),p(3),p(3),b(3),b(3)],'batch_norm(%0, %1, %2, %3, %4)',bn(True),training=True)
case('batch_norm evaluation',[f(3,2,2),p(3),p(3),b(3),b(3)],'batch_norm(%0, %1, %2, %3, %4)',bn(False))
case('batch_norm vectors',[f(3),p(3),p(3),b(3),b(3)],'batch_norm(%0, %1, %2, %3, %4)',bn(True),training=True)
case('layer_norm',[f(2,3,2),p(3,2),p(3,2)],'layer_norm(%0, %1, %2) {dims=2, eps=0.01}',lambda x,w,b_:F.layer_norm(x,(3,2),w,b_,0.01))
case('layer_norm plain',[f(2,3)],'layer_norm(%0, _, _) {affine=false}',lambda x:F.layer_norm(x,(3,)))
case('group_norm',[f(4,2,3),p(4),p(4)],'group_norm(%0, %1, %2) {groups=2}',lambda x,w,b_:F.group_norm(x,2,w,b_))
case('group_norm vectors',[f(6),p(6),p(6)],'group_norm(%0, %1, %2) {groups=3}',lambda x,w,b_:F.group_norm(x,3,w,b_))
# shape
case('slice',[f(5,2)],'slice(%0) {dim=0, start=-4, end=9, step=2}',lambda x:x[:,-4:9:2])
case('permute',[f(2,3,2)],'permute(%0) {order=[2,0,1]}',lambda x:x.permute(0,3,1,2))
case('surround',[f(2,3)],'surround(%0) {low=[1,0], high=[0,2], inner=[0,0], value=7}',lambda x:F.pad(x,(0,2,1,0),value=7))
case('pad',[f(2,3,2)],'pad(%0) {pad=[0,1,-1,2,3,0], value=1.5}',lambda x:F.pad(x,(3,0,-1,2,0,1),value=1.5))
case('upsample nearest',[f(2,3,2)],'upsample(%0) {scale=[2,3]}',lambda x:F.interpolate(x,scale_factor=(2,3)))
case('upsample bilinear',[f(2,3,2)],'upsample(%0) {scale=[2,3], mode="bilinear"}',lambda x:F.interpolate(x,scale_factor=(2,3),mode='bilinear'))
case('upsample bilinear of one row',[f(1,1,4)],'upsample(%0) {scale=[4,5], mode="bilinear"}',lambda x:F.interpolate(x,scale_factor=(4,5),mode='bilinear'))


def nums(t):
    return [('%.13g' % v).replace('-0', '0') if v == 0 else '%.13g' % v for v in t.detach().flatten().tolist()]


def line(word, t):
    out.write('  %s: %s\n' % (word, ' '.join(nums(t))))


out = open(sys.argv[1], 'w')
for name, kinds, text, op, training, y, grads, extra, explicit in cases:
    out.write('case %s\n  kinds: %s%s\n' % (name, kinds, ' training' if training else ''))
    for t in text + ['%%%d = %s' % (len(kinds), op), 'output y = %%%d' % len(kinds)]:
        out.write('| %s\n' % t)
    for k, v in (explicit or {}).items():
        line('given %d' % k, torch.tensor(v, dtype=torch.float64))
    line('value', y)
    for k, g in enumerate(grads):
        if g is not None:
            line('grad %d' % k, g)
    for k, g in enumerate(extra):
        line('assigned %d' % k, g)
